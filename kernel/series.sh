# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Reading patches/VERSION, for the scripts beside this file that source it.

shopt -s inherit_errexit

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# series_names DIR: the patches that DIR/series lists, in order.
series_names()
{
	[ -f "$1/series" ] || die "$1/series: not found: a version has one, even when it is empty"
	sed -e 's/[[:space:]]*#.*//' -e '/^[[:space:]]*$/d' "$1/series"
}

# series_files DIR: every file that a listed patch touches, once each.
series_files()
{
	local names name
	names=$(series_names "$1")
	for name in $names; do
		[ -f "$1/$name" ] || die "$1/series: $name: no such file in $1"
		git apply --numstat "$1/$name" | cut -f3
	done | sort -u
}

# patch_subject PATCH
patch_subject()
{
	git_plain mailinfo -k /dev/null /dev/null <"$1" | sed -nE 's/^Subject: (\[PATCH[^]]*\] )?//p'
}

# patch_trailers PATCH KEY: the values, one on each line.
patch_trailers()
{
	git_plain interpret-trailers --parse "$1" | sed -n "s/^$2: *//p"
}

# series_dependents DIR PATCH: the patch and each later one that needs it, in order.
series_dependents()
{
	local series=$1 names name subject needed
	names=$(series_names "$series")
	grep -qxF "$2" <<<"$names" || die "$series/series: does not list $2"
	subject=$(patch_subject "$series/$2")
	for name in $names; do
		if [ "$name" != "$2" ]; then
			needed=$(patch_trailers "$series/$name" Needs)
			grep -qxF "$subject" <<<"$needed" || continue
			subject+=$'\n'$(patch_subject "$series/$name")
		fi
		echo "$name"
	done
}

# series_apply DIR TREE: apply in order; an offset is accepted, fuzz and rejects are not.
series_apply()
{
	local names name output
	names=$(series_names "$1")
	for name in $names; do
		output=$(patch -p1 -F0 -s -f --no-backup-if-mismatch -r - -d "$2" <"$1/$name" 2>&1) ||
			die "$1/$name: does not apply without fuzz: ${output//$'\n'/; }"
	done
}

# copy_files FROM TO FILE...: those of the files that FROM has.
copy_files()
{
	local from=$1 to=$2 file
	shift 2
	for file in "$@"; do
		[ -f "$from/$file" ] || continue
		mkdir -p "$to/$(dirname "$file")"
		cp -p "$from/$file" "$to/$file"
	done
}

# series_pristine DIR: the files that the series changes or deletes but did not itself create.
series_pristine()
{
	local names name created
	names=$(series_names "$1")
	created=$(for name in $names; do
		git apply --summary "$1/$name" | sed -n 's/^ create mode [0-7]* //p'
	done | sort -u)
	series_files "$1" | comm -23 - <(echo "$created")
}

# extract_files TARBALL TO FILE...: those files of a linux-source tarball, and no others.
extract_files()
{
	local tarball=$1 to=$2 top members said
	shift 2
	[ -f "$tarball" ] || die "$tarball: not found: run \"make deps\""
	top=$(basename "$tarball" .tar.xz)
	mapfile -t members < <(printf "$top/%s\n" "$@")
	mkdir -p "$to"
	said=$(LC_ALL=C tar -xJf "$tarball" -C "$to" --strip-components=1 --occurrence=1 \
		"${members[@]}" 2>&1) || die "$tarball: ${said%%$'\n'*}"
}

# Git as it comes: what the user configured must not change what a patch looks like.
git_plain()
{
	env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE \
		GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git "$@"
}

# repository_create DIR SERIES-DIR: the files in DIR as commit "base", then one commit per patch.
repository_create()
{
	local repo=$1 series=$2 names name output
	git_plain -C "$repo" init -q -b series
	git_plain -C "$repo" config user.name Swapsafe
	git_plain -C "$repo" config user.email swapsafe@example.org
	git_plain -C "$repo" config commit.gpgsign false
	git_plain -C "$repo" add -f .
	git_plain -C "$repo" commit -q --allow-empty -m base
	git_plain -C "$repo" tag base
	names=$(series_names "$series")
	for name in $names; do
		output=$(git_plain -C "$repo" am -q --keep-non-patch "$(realpath "$series/$name")" 2>&1) ||
			die "$series/$name: does not apply: ${output%%$'\n'*}"
	done
}

# repository_leave_out REPO SERIES-DIR PATCH: takes a patch back and, before it, each later one whose
# trailer says that it needs it. Prints what it took back, latest first.
repository_leave_out()
{
	local repo=$1 series=$2 left_out names name position commits
	left_out=$(series_dependents "$series" "$3" | tac)
	names=$(series_names "$series")
	mapfile -t commits < <(git_plain -C "$repo" rev-list --reverse base..series)
	for name in $left_out; do
		position=$(grep -nxF "$name" <<<"$names" | cut -d: -f1)
		git_plain -C "$repo" -c merge.renames=false \
			revert --no-edit "${commits[position - 1]}" >/dev/null 2>&1 ||
			die "$series/$name: a later patch changes the same lines:" \
			    "$(git_plain -C "$repo" diff --name-only --diff-filter=U | xargs):" \
			    "give that patch the trailer \"Needs: $(patch_subject "$series/$name")\""
	done
	echo "$left_out"
}

# series_digest DIR: changes when the series or a patch does.
series_digest()
{
	(cd "$1" && find . -type f | LC_ALL=C sort | xargs -r sha256sum | sha256sum)
}

# repository_export REPO OLD-SERIES-DIR DIR: the commits after "base" as patches, and their
# series; the comments of the old series stay, before the names.
repository_export()
{
	local repo=$1 old=$2 dir=$3
	mkdir -p "$dir"
	git_plain -C "$repo" format-patch -q -N --zero-commit --no-signature --abbrev=12 --no-renames \
		-o "$(realpath "$dir")" base..series
	{
		sed -n '/^#/p' "$old/series"
		find "$dir" -name '*.patch' -printf '%f\n' | LC_ALL=C sort
	} >"$dir.series"
	mv "$dir.series" "$dir/series"
}

# repository_settled REPO: no rebase or am is under way, and nothing is left to commit.
repository_settled()
{
	local busy
	for busy in rebase-merge rebase-apply; do
		[ ! -e "$1/.git/$busy" ] || die "$1: a rebase is under way: finish or abort it first"
	done
	[ -z "$(git_plain -C "$1" status --porcelain)" ] ||
		die "$1: has changes that are not committed: commit them, or remove them"
	[ "$(git_plain -C "$1" symbolic-ref -q --short HEAD)" = series ] ||
		die "$1: not on branch \"series\": git switch series"
}
