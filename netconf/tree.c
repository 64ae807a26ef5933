// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's subtree between netconfd's values and XML. */
#include "netconf/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/tree.h>

val_value_t *tree_find(val_value_t *root)
{
	return root ? val_find_child(root, YANG_MODULE, YANG_ROOT) : NULL;
}

static boolean is_set(ncx_withdefaults_t withdef, boolean realtest, val_value_t *val)
{
	(void)withdef;
	(void)realtest;
	return val->obj && obj_get_config_flag(val->obj) && !val_set_by_default(val);
}

static const char empty[] = "<dplane-ebpf xmlns=\"" YANG_NAMESPACE "\"/>";

char *tree_print(val_value_t *root)
{
	val_value_t *container = tree_find(root);
	char *text = NULL;
	size_t len = 0;
	FILE *file;
	status_t res;

	if (!container)
		return strdup(empty);
	file = open_memstream(&text, &len);
	if (!file)
		return NULL;
	res = xml_wr_check_open_file(file, container, NULL, FALSE, FALSE, TRUE, 0, -1, is_set);
	if (fclose(file) || res != NO_ERR) {
		free(text);
		return NULL;
	}
	return text;
}

static bool add_children(val_value_t *parent, xmlNode *from);

/* NULL: not valid. */
static val_value_t *make(obj_template_t *obj, xmlNode *node)
{
	val_value_t *val;
	status_t res;
	xmlChar *text;

	if (obj_get_basetype(obj) == NCX_BT_EMPTY) {
		val = val_new_value();
		if (val) {
			val_init_from_template(val, obj);
			val->v.boo = TRUE;
		}
		return val;
	}
	if (obj_is_leafy(obj)) {
		text = xmlNodeGetContent(node);
		val = val_make_simval_obj(obj, text ? text : (const xmlChar *)"", &res);
		xmlFree(text);
		if (val && res == NO_ERR)
			return val;
		if (val)
			val_free_value(val);
		return NULL;
	}
	val = val_new_value();
	if (!val)
		return NULL;
	val_init_from_template(val, obj);
	if (!add_children(val, node->children) ||
	    (obj->objtype == OBJ_TYP_LIST && val_gen_index_chain(obj, val) != NO_ERR)) {
		val_free_value(val);
		return NULL;
	}
	return val;
}

static bool add_children(val_value_t *parent, xmlNode *from)
{
	for (xmlNode *node = from; node; node = node->next) {
		obj_template_t *obj;
		val_value_t *child;

		if (node->type != XML_ELEMENT_NODE)
			continue;
		obj = obj_find_child(parent->obj, YANG_MODULE, node->name);
		child = obj ? make(obj, node) : NULL;
		if (!child)
			return false;
		val_add_child(child, parent);
	}
	return true;
}

static xmlDoc *parse(const char *xml)
{
	return xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
			     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				     XML_PARSE_HUGE);
}

/* What has config false stays what it was. */
static void move_state(val_value_t *from, val_value_t *to)
{
	val_value_t *state =
		from ? val_find_child(from, YANG_MODULE, (const xmlChar *)"state") : NULL;

	if (state) {
		val_remove_child(state);
		val_add_child(state, to);
	}
}

bool tree_replace(val_value_t *root, const char *xml)
{
	val_value_t *old = tree_find(root), *new = NULL;
	obj_template_t *obj = ncx_find_object(yang_module, YANG_ROOT);
	xmlDoc *doc = parse(xml);
	xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;

	if (obj && top)
		new = make(obj, top);
	xmlFreeDoc(doc);
	if (!new)
		return false;
	if (val_add_defaults(new, root, NULL, FALSE) != NO_ERR) {
		val_free_value(new);
		return false;
	}
	move_state(old, new);
	if (old) {
		val_remove_child(old);
		val_free_value(old);
	}
	val_add_child_sorted(new, root);
	return true;
}

bool tree_replace_state(val_value_t *root, const char *xml)
{
	val_value_t *container = tree_find(root), *new = NULL, *old;
	obj_template_t *obj = NULL;
	xmlDoc *doc = parse(xml);
	xmlNode *top = doc ? xmlDocGetRootElement(doc) : NULL;

	if (container)
		obj = obj_find_child(container->obj, YANG_MODULE, (const xmlChar *)"state");
	if (obj && top && top->children)
		new = make(obj, top->children);
	xmlFreeDoc(doc);
	if (!new)
		return false;
	old = val_find_child(container, YANG_MODULE, (const xmlChar *)"state");
	if (old) {
		val_remove_child(old);
		val_free_value(old);
	}
	val_add_child(new, container);
	return true;
}
