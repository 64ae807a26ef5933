/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is used of netconfd's headers, in the order that they need. */
#ifndef NETCONF_YUMA_H
#define NETCONF_YUMA_H

#include <libxml/xmlstring.h>

#include <procdefs.h>

#include <agt.h>
#include <agt_ncx.h>
#include <agt_not.h>
#include <agt_rpc.h>
#include <agt_timer.h>
#include <agt_util.h>
#include <b64.h>
#include <cfg.h>
#include <log.h>
#include <ncx.h>
#include <ncxmod.h>
#include <obj.h>
#include <ses.h>
#include <status.h>
#include <val.h>
#include <val_util.h>
#include <xml_wr.h>

#define YANG_MODULE ((const xmlChar *)"frr-dplane-ebpf")
#define YANG_ROOT ((const xmlChar *)"dplane-ebpf")
#define YANG_NAMESPACE "http://frrouting.org/yang/dplane-ebpf"

/* The loaded YANG module. */
extern ncx_module_t *yang_module;

#endif /* NETCONF_YUMA_H */
