/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the BIOS starts from the floppy: the boot sector, which reads the rest of this file, and the
 * loader, which lets a person edit the boot line, reads the kernel's setup, the kernel and the
 * initramfs by INT 13h, and jumps to the setup (Documentation/arch/x86/boot.rst, "Running the
 * kernel"). Where the three lie and where they go is in a table that make-floppy fills in, and it
 * has written into the setup what a loader has to tell it. Messages go out by INT 10h, which a BIOS
 * with a serial console sends there.
 *
 * Any i386 can run it; all is in the first 64 KiB, with %ds = %es = %ss = 0 unless said otherwise.
 */
#include "media/floppy.h"

#define BOOT_ADDRESS	0x7c00
#define LINE		(BOOT_ADDRESS + FLOPPY_TEXT_OFFSET)
#define FIRST_SECTORS	(FLOPPY_FILES_OFFSET / FLOPPY_SECTOR_BYTES - 1)

#define TICKS_OF_PROMPT	91	/* 5 s; the BIOS counts 18.2 in a second */
#define TICKS_OF_RETRY	273	/* 15 s */
#define READ_TRIES	5	/* a motor that starts may need 3 */

/* Variables, in memory that nobody uses, since reading this file to the end must not change them. */
#define sum	0x600
#define sector	0x604
#define count	0x606
#define drive	0x608
#define tries	0x609

	.code16
	.globl	_start
_start:
	jmp	start
	.org	FLOPPY_NAME_OFFSET
	.ascii	FLOPPY_NAME
	.word	FLOPPY_SECTOR_BYTES
	.byte	1			/* sectors of a cluster; there is no FAT, so none */
	.word	1
	.byte	0			/* number of FATs */
	.word	0
	.org	FLOPPY_SECTORS_OFFSET
	.word	2880
	.byte	0xf0
	.word	0
	.org	FLOPPY_TRACK_SECTORS_OFFSET
track_sectors:
	.word	18
	.org	FLOPPY_HEADS_OFFSET
heads:
	.word	2

	/* A BIOS that takes the floppy for a disk may write into the first 62 bytes. */
	.org	62
start:
	cld
	xor	%ax, %ax
	mov	%ax, %ds
	mov	%ax, %es
	mov	%ax, %ss
	mov	$BOOT_ADDRESS, %sp
	ljmp	$0, $first
first:
	mov	%dl, drive
	mov	$banner, %si
	call	print
	mov	$(BOOT_ADDRESS + FLOPPY_SECTOR_BYTES), %bx
	mov	$1, %ax
read_first:
	mov	$(FIRST_SECTORS + 1), %cx
	sub	%ax, %cx
	call	read
	add	%cx, %ax
	shl	$9, %cx
	add	%cx, %bx
	cmp	$(FIRST_SECTORS + 1), %ax
	jb	read_first
	jmp	loader

/*
 * Reads from sector %ax on to %es:%bx, at most %cx sectors and not beyond the end of the track.
 * Returns the number of sectors in %cx; keeps all other registers. Does not return before it has
 * read at least one.
 */
read:
	pusha
	mov	%ax, sector
	mov	%cx, count
read_again:
	movb	$READ_TRIES, tries
read_try:
	mov	sector, %ax
	xor	%dx, %dx
	divw	track_sectors
	mov	track_sectors, %cx
	sub	%dx, %cx
	cmp	count, %cx
	jae	1f
	mov	%cx, count
1:	mov	%dx, %cx
	inc	%cx
	xor	%dx, %dx
	divw	heads
	mov	%al, %ch
	mov	%dl, %dh
	mov	drive, %dl
	mov	count, %al
	mov	$2, %ah
	int	$0x13
	jnc	read_done

	mov	%ah, %al
	push	%ax
	xor	%ah, %ah
	mov	drive, %dl
	int	$0x13
	pop	%ax
	cmpw	$1, count		/* of several, find the one */
	movw	$1, count
	jne	read_try
	decb	tries
	jnz	read_try

	xor	%ah, %ah
	push	%ax
	mov	$sector_text, %si
	call	print
	mov	sector, %ax
	call	print_number
	mov	$error_text, %si
	call	print
	pop	%ax
	call	print_number
	call	retry
	jmp	read_again

read_done:
	popa
	mov	count, %cx
	ret

/* Says how to go on after a message, and waits for that. Changes %ax %bx %cx %dx %di %si %bp. */
retry:
	mov	$retry_text, %si
	call	print
	mov	$TICKS_OF_RETRY, %ax
	call	wait_key
	mov	$newline, %si

/* Prints the text at %si, up to its NUL. Changes %ax %bx %si. */
print:
	lodsb
	test	%al, %al
	jz	1f
	call	print_char
	jmp	print
1:	ret

print_char:				/* %al. Changes %ah %bx. */
	mov	$0x0e, %ah
	mov	$7, %bx
	int	$0x10
	ret

print_number:				/* %ax, decimal. Changes %ax %bx %cx %dx. */
	xor	%dx, %dx
	mov	$10, %cx
	div	%cx
	push	%dx
	test	%ax, %ax
	jz	1f
	call	print_number
1:	pop	%ax
	add	$'0', %al
	jmp	print_char

/*
 * Waits %ax ticks for a key: carry clear and the key in %al, or carry set. Changes %ax %cx %dx %di
 * %bp. At midnight, when the BIOS counts from 0 again, it may end early.
 */
wait_key:
	mov	%ax, %bp
	call	ticks
	mov	%dx, %di
1:	mov	$1, %ah
	int	$0x16
	jnz	2f
	sti
	hlt
	call	ticks
	sub	%di, %dx
	cmp	%bp, %dx
	jb	1b
	stc
	ret
2:	xor	%ah, %ah
	int	$0x16
	clc
	ret

ticks:					/* %dx: the lower half of the BIOS's count */
	xor	%ah, %ah
	int	$0x1a
	ret

banner:		.asciz	"\r\nSwapsafe\r\n"
sector_text:	.asciz	"\r\nfloppy: sector "
error_text:	.asciz	": read error "
retry_text:	.asciz	": press a key to try again"
newline:	.asciz	"\r\n"

	.org	510
	.word	0xaa55

	.org	FLOPPY_LINE_OFFSET
	.ascii	FLOPPY_LINE_MARK

	.org	FLOPPY_LOADER_OFFSET
loader:
	jmp	check_memory
	.org	FLOPPY_LOADER_OFFSET + FLOPPY_NEEDED_OFFSET
needed_kib:
	.word	0
	.org	FLOPPY_TABLE_OFFSET
files:					/* first sector, sectors, address, sum of each */
	.fill	FLOPPY_FILES * FLOPPY_FILE_BYTES

check_memory:
	mov	$0xe801, %ax
	xor	%cx, %cx
	int	$0x15
	jc	1f
	test	%ax, %ax		/* some answer in %cx alone */
	jnz	2f
	mov	%cx, %ax
	test	%ax, %ax
	jnz	2f
1:	mov	$0x88, %ah
	int	$0x15
2:	cmp	needed_kib, %ax
	jae	prompt
	push	%ax
	mov	$memory_text, %si
	call	print
	mov	needed_kib, %ax
	add	$1024, %ax
	call	print_number
	mov	$have_text, %si
	call	print
	pop	%ax
	add	$1024, %ax
	call	print_number
	call	retry
	jmp	check_memory

prompt:
	mov	$prompt_text, %si
	call	print
	mov	$LINE, %si
	call	print
	dec	%si			/* from here on at the line's NUL */
	mov	$TICKS_OF_PROMPT, %ax
	call	wait_key
	jc	load
edit:
	cmp	$'\r', %al
	je	load
	cmp	$8, %al
	je	delete
	cmp	$0x7f, %al
	je	delete
	cmp	$0x15, %al
	je	delete_all
	cmp	$' ', %al
	jb	next_key
	cmp	$0x7f, %al
	ja	next_key
	cmp	$(LINE + FLOPPY_TEXT_BYTES - 1), %si
	jae	next_key
	mov	%al, (%si)
	inc	%si
	movb	$0, (%si)
	call	print_char
next_key:
	xor	%ah, %ah
	int	$0x16
	jmp	edit
delete:
	call	delete_char
	jmp	next_key
delete_all:
	call	delete_char
	jnz	delete_all
	jmp	next_key

/* Takes the last character off the line, whose NUL is at %si; zero set when it was empty. */
delete_char:
	cmp	$LINE, %si
	je	1f
	dec	%si
	movb	$0, (%si)
	push	%si
	mov	$delete_text, %si
	call	print
	pop	%si
	test	%sp, %sp
1:	ret

load:
	mov	$newline, %si
	call	print
	mov	$files, %si
load_file:
	call	load_one
	cmp	8(%si), %edx
	jne	damaged
	add	$FLOPPY_FILE_BYTES, %si
	cmp	$(files + FLOPPY_FILES * FLOPPY_FILE_BYTES), %si
	jb	load_file

	mov	$newline, %si
	call	print
	mov	$0x3f2, %dx		/* motor off: no driver will do it */
	xor	%al, %al
	out	%al, %dx
	mov	$(FLOPPY_SETUP_ADDRESS >> 4), %ax
	mov	%ax, %es
	mov	$LINE, %si
	mov	$FLOPPY_STACK_END, %di
	mov	$FLOPPY_TEXT_BYTES, %cx
	rep movsb
	cli
	mov	%ax, %ds
	mov	%ax, %fs
	mov	%ax, %gs
	mov	%ax, %ss
	mov	$FLOPPY_STACK_END, %sp
	ljmp	$((FLOPPY_SETUP_ADDRESS >> 4) + 0x20), $0

damaged:
	mov	$damaged_text, %si
	call	print
	call	retry
	jmp	load

/* Loads the file whose entry is at %si; its sum in %edx. Changes %eax %ebx %ecx. */
load_one:
	mov	(%si), %ax
	mov	2(%si), %cx
	mov	4(%si), %ebx
	mov	%ebx, target
	movb	$0x93, target + 3	/* present, writable data */
	shr	$24, %ebx
	mov	%bl, target_top
	xor	%edx, %edx
load_track:
	push	%cx
	mov	$(FLOPPY_BUFFER_ADDRESS >> 4), %bx
	mov	%bx, %es
	xor	%bx, %bx
	call	read
	call	add_up
	xor	%bx, %bx
	mov	%bx, %es
	call	move
	add	%cx, %ax
	mov	%cx, %bx
	pop	%cx
	sub	%bx, %cx
	pusha
	mov	$'.', %al
	call	print_char
	popa
	test	%cx, %cx
	jnz	load_track
	ret

/* Adds the %cx sectors in the buffer at %es:0 to the sum in %edx. */
add_up:
	pusha
	mov	%edx, sum
	shl	$7, %cx
	xor	%si, %si
1:	roll	$1, sum
	mov	%es:(%si), %eax
	add	%eax, sum
	add	$4, %si
	loop	1b
	popa
	mov	sum, %edx
	ret

/* Moves the %cx sectors in the buffer to the target, and the target on. */
move:
	pusha
	shl	$8, %cx			/* words */
	mov	$descriptors, %si
	push	%cx
	mov	$0x87, %ah
	int	$0x15
	pop	%cx
	shl	$1, %cx
	mov	target, %eax
	and	$0xffffff, %eax
	movzx	%cx, %ecx
	add	%ecx, %eax
	or	$0x93000000, %eax
	mov	%eax, target
	popa
	ret

memory_text:	.asciz	"floppy: memory: "
have_text:	.asciz	" KiB are needed, the machine has "
prompt_text:	.asciz	"Enter boots, any other key edits; ^U clears\r\nboot: "
damaged_text:	.asciz	"\r\nfloppy: what was read is not what was written"
delete_text:	.asciz	"\b \b"

	.balign	4
descriptors:				/* INT 15h AH=87h: two of the BIOS, source, target, two more */
	.fill	16
	.word	0xffff, FLOPPY_BUFFER_ADDRESS & 0xffff
	.byte	FLOPPY_BUFFER_ADDRESS >> 16, 0x93, 0, 0
	.word	0xffff
target:
	.long	0
	.byte	0
target_top:
	.byte	0
	.fill	16

	.org	FLOPPY_FILES_OFFSET
