// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a card that is up did not receive while a drain held: its NAPI was switched off
 * (napi_disable() keeps NAPI_STATE_NPSVC), as a driver does that fills its ring from a worker.
 * Looked at in each tick of the drain on one CPU, so that the number of looks is milliseconds.
 */
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <linux/rcupdate.h>
#include <net/net_namespace.h>

#include "memdrain.h"

unsigned long reception_off_ms;

static bool is_off(struct net_device *dev)
{
	struct napi_struct *napi;

	list_for_each_entry(napi, &dev->napi_list, dev_list) {
		if (napi->weight && test_bit(NAPI_STATE_NPSVC, &napi->state))
			return true;
	}
	return false;
}

void receivers_look(void)
{
	struct net_device *dev;

	rcu_read_lock();
	for_each_netdev_rcu(&init_net, dev) {
		if (netif_running(dev) && netif_carrier_ok(dev) && is_off(dev)) {
			reception_off_ms++;
			break;
		}
	}
	rcu_read_unlock();
}
