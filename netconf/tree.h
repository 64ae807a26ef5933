/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The module's subtree between netconfd's values and XML. */
#ifndef NETCONF_TREE_H
#define NETCONF_TREE_H

#include <stdbool.h>

#include "netconf/yuma.h"

/* The container below a datastore's root, NULL: it has none. */
val_value_t *tree_find(val_value_t *root);

/* Configuration below a datastore's root as XML, without what is only there by default; malloc'ed. NULL: out of memory. */
char *tree_print(val_value_t *root);

/* From XML to the configuration below a datastore's root, in place of what is there. False, and nothing has changed: it is not valid. */
bool tree_replace(val_value_t *root, const char *xml);

/* From XML to the operational state below a datastore's root, in place of what is there. */
bool tree_replace_state(val_value_t *root, const char *xml);

#endif /* NETCONF_TREE_H */
