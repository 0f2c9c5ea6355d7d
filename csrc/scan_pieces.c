/* The tables of serialize/grammar.py; and what items are made of. */
#include "scan.h"

/* In the order of Action. */
static const char *const action_names[] = {
    "REFUSE",
    "FIXED",
    "REFERENCE",
    "STRINGS",
    "SYMBOL",
    "MARKER",
    "CELL",
    "NEXT_CELL",
    "ITEMS",
    "CLOSURE",
    "ENVIRONMENT",
    "PROMISE",
    "BUILTIN",
    "STRING",
    "BYTECODE",
    "POINTER",
    "BARE",
    "BY_NAME",
    "COMPACT",
    "BUCKETS",
    "INTEGERS_1",
    "INTEGERS_2",
    "OBJECT_CELL",
    "PROPER_CELL",
    "PROPER_NEXT",
    "STATE_CELL",
    "CHAINS",
    "KEY_CELL",
    "KEY_NEXT",
    "NESTED_CODE",
    "CALL_TREE",
    "SHARED",
    "SHARED_HERE",
    "LEAF",
};

Place any_item, pairlist, classed, tag_place, string_vector, numbers_place, cdr, state_place, state_cdr,
    protected_place, keyed, keyed_cdr, tag_or_null, proper_cdr, environments, hash_table, one_integer, two_integers, tree, constant,
    wrapped[256];

static const struct {
    const char *name;
    Place *place;
} place_names[] = {
    {"ANY", &any_item},
    {"PAIRLIST", &pairlist},
    {"CLASSED", &classed},
    {"TAG", &tag_place},
    {"STRING_VECTOR", &string_vector},
    {"NUMBERS", &numbers_place},
    {"CDR", &cdr},
    {"STATE", &state_place},
    {"STATE_CDR", &state_cdr},
    {"PROTECTED", &protected_place},
    {"KEYED", &keyed},
    {"KEYED_CDR", &keyed_cdr},
    {"TAG_OR_NULL", &tag_or_null},
    {"PROPER_CDR", &proper_cdr},
    {"ENVIRONMENTS", &environments},
    {"HASH_TABLE", &hash_table},
    {"ONE_INTEGER", &one_integer},
    {"TWO_INTEGERS", &two_integers},
    {"TREE", &tree},
    {"CONSTANT", &constant},
};

static int take_place(PyObject *table, Place *place)
{
    if (table == NULL || !PyBytes_Check(table) || PyBytes_GET_SIZE(table) != 256) {
        PyErr_SetString(PyExc_ImportError, "serialize/grammar.py is not the one this was built for");
        return GIVE_UP;
    }
    *place = (Place)PyBytes_AS_STRING(Py_NewRef(table)); /* kept for good */
    return 0;
}

int load_grammar(void)
{
    PyObject *grammar = PyImport_ImportModule("rinterop.serialize.grammar");
    if (grammar == NULL)
        return GIVE_UP;
    int failed = 0;
    for (size_t i = 0; i < sizeof action_names / sizeof *action_names && !failed; i++) {
        PyObject *number = PyObject_GetAttrString(grammar, action_names[i]);
        failed = number == NULL || PyLong_AsLong(number) != (long)i;
        Py_XDECREF(number);
    }
    for (size_t i = 0; i < sizeof place_names / sizeof *place_names && !failed; i++) {
        PyObject *table = PyObject_GetAttrString(grammar, place_names[i].name);
        failed = take_place(table, place_names[i].place);
        Py_XDECREF(table);
    }
    PyObject *found = failed ? NULL : PyObject_GetAttrString(grammar, "WRAPPED"), *code, *table;
    failed = found == NULL || !PyDict_Check(found);
    for (Py_ssize_t at = 0; !failed && PyDict_Next(found, &at, &code, &table);)
        failed = take_place(table, &wrapped[PyLong_AsLong(code) & 0xFF]);
    Py_XDECREF(found);
    Py_DECREF(grammar);
    if (failed && !PyErr_Occurred())
        PyErr_SetString(PyExc_ImportError, "serialize/grammar.py is not the one this was built for");
    return failed ? GIVE_UP : 0;
}

/* -- pieces */

int scan_length(const Scan *s, Py_ssize_t *position, uint64_t *count)
{
    uint32_t low, high = 0;
    if (scan_word(s, position, &low))
        return GIVE_UP;
    if (low > 0x7FFFFFFFu
        && (low != 0xFFFFFFFFu || scan_word(s, position, &high) || scan_word(s, position, &low)
            || high > 65536))
        return GIVE_UP;
    *count = (uint64_t)high << 32 | low;
    return 0;
}

const Reference *scan_reference(const Scan *s, Py_ssize_t *position, uint32_t flags)
{
    uint32_t index = flags >> 8;
    if (!index && scan_word(s, position, &index))
        return NULL;
    return index == 0 || index > (uint64_t)s->known ? NULL : &s->references[index - 1];
}

int add_reference(Scan *s, Py_ssize_t name, uint32_t size)
{
    if (grow(&s->references, &s->reference_capacity, s->known, sizeof *s->references))
        return GIVE_UP;
    s->references[s->known++] = (Reference){name, size};
    return 0;
}

/* What follows a CHAR's flags word. */
int scan_char(const Scan *s, Py_ssize_t *position, uint32_t flags)
{
    uint32_t size;
    if (scan_word(s, position, &size) || (flags & (0xFF | CHAR_BITS)) != CHAR)
        return GIVE_UP;
    if (size == 0xFFFFFFFFu)
        return 0;
    if (size > 0x7FFFFFFFu || size > left(s, *position) || memchr(s->data + *position, 0, size) != NULL)
        return GIVE_UP;
    *position += size;
    return 0;
}

int scan_strings(const Scan *s, Py_ssize_t *position, uint64_t count)
{
    uint32_t flags;
    if (count > left(s, *position) / 8)
        return GIVE_UP;
    for (; count; count--)
        if (scan_word(s, position, &flags) || scan_char(s, position, flags))
            return GIVE_UP;
    return 0;
}

int scan_symbol(Scan *s, Py_ssize_t *position, uint32_t flags)
{
    uint32_t bits;
    if ((flags & 0xFF) != SYM || scan_word(s, position, &bits))
        return GIVE_UP;
    Py_ssize_t name = *position + 4;
    if (scan_char(s, position, bits) || *position <= name || *position - name > MAX_SYMBOL)
        return GIVE_UP;
    return add_reference(s, name, (uint32_t)(*position - name));
}

int scan_builtin(const Scan *s, Py_ssize_t *position, uint32_t flags)
{
    uint32_t size;
    if (scan_word(s, position, &size) || flags & (HAS_ATTRIBUTES | IS_OBJECT) || size == 0
        || size > MAX_BUILTIN || size > left(s, *position)
        || classify(s->data + *position, size) != ASCII_TEXT)
        return GIVE_UP;
    *position += size;
    return 0;
}

int scan_by_name(Scan *s, Py_ssize_t *position, uint32_t flags)
{
    uint32_t zero, count;
    if (scan_word(s, position, &zero) || zero || scan_word(s, position, &count)
        || scan_strings(s, position, count))
        return GIVE_UP;
    return add_reference(s, -1, flags);
}
