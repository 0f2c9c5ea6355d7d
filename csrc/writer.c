/* Values to bytes: the same as serialize/writer.py.
 *
 * An item's own words come before its parts, so a stack of what is still to be written is all the machinery
 * there is. Nothing here calls Python: a value of an unknown class, or one that Python could change, is left
 * to the Python writer, and so is every error.
 */
#include "writer.h"

static int write_altrep(Writer *w, PyObject *value)
{
    PyObject *attributes = SLOT(K_ALTREP, value, ATTRIBUTES), *class_name = SLOT(K_ALTREP, value, CLASS_NAME);
    PyObject *package = SLOT(K_ALTREP, value, PACKAGE_NAME);
    uint32_t type_code;
    if (w->version == 2 || class_name == NULL || !IS(K_SYMBOL, class_name) || package == NULL
        || !IS(K_SYMBOL, package) || small_number(SLOT(K_ALTREP, value, TYPE_CODE), 255, &type_code)
        || put_flags(w, ALTREP, K_ALTREP, value, 0))
        return GIVE_UP;
    put_word(w, LIST);
    if (write_symbol(w, class_name) || room_for(w, 4))
        return GIVE_UP;
    put_word(w, LIST);
    if (write_symbol(w, package) || room_for(w, 20))
        return GIVE_UP;
    put_word(w, LIST);
    put_word(w, INT);
    put_word(w, 1);
    put_word(w, type_code);
    put_word(w, NIL);
    return later(w, P_VALUE, attributes == Py_None ? null : attributes)
            || later(w, P_VALUE, SLOT(K_ALTREP, value, STATE))
        ? GIVE_UP
        : 0;
}

/* -- pairlists, calls, functions */

static int write_pairs(Writer *w, Kind kind, PyObject *value, int keyed)
{
    PyObject *cells = tuple_in(kind, value, CELLS);
    if (cells == NULL || PyTuple_GET_SIZE(cells) == 0)
        return GIVE_UP;
    return later(w, keyed ? P_KEYED_CELLS : P_CELLS, value);
}

static int write_rest_of_cell(Writer *w, PyObject *cell, int keyed)
{
    PyObject *tag = SLOT(K_CELL, cell, CELL_TAG), *value = SLOT(K_CELL, cell, CELL_VALUE);
    if (keyed && tag != Py_None)
        return later(w, P_VALUE, value) ? GIVE_UP : write_item(w, tag);
    if (tag != Py_None && (!IS(K_SYMBOL, tag) || write_symbol(w, tag)))
        return GIVE_UP;
    return value == NULL ? GIVE_UP : write_item(w, value);
}

static int write_cell(Writer *w, PyObject *cell, Kind kind, int is_first, int keyed)
{
    if (!IS(K_CELL, cell) || SLOT(K_CELL, cell, CELL_TAG) == NULL)
        return GIVE_UP;
    PyObject *is_call = SLOT(K_CELL, cell, CELL_IS_CALL);
    uint32_t code = is_call == Py_True ? LANG : is_call == Py_False ? LIST : 0;
    if (is_first)
        code = kind == K_CALL ? LANG : kind == K_DOT_ARGS ? DOT : LIST;
    if (!code || put_flags(w, code, K_CELL, cell, SLOT(K_CELL, cell, CELL_TAG) != Py_None))
        return GIVE_UP;
    if (SLOT(K_CELL, cell, ATTRIBUTES) == Py_None)
        return write_rest_of_cell(w, cell, keyed);
    return later(w, keyed ? P_REST_OF_KEYED_CELL : P_REST_OF_CELL, cell)
            || write_attributes(w, SLOT(K_CELL, cell, ATTRIBUTES))
        ? GIVE_UP
        : 0;
}

/* Closures, and promises, whose slots are in the same order but for the environment, which comes first. */
static int write_function(Writer *w, Kind kind, PyObject *value)
{
    PyObject *environment = SLOT(kind, value, ENCLOSURE);
    if (environment == NULL
        || put_flags(w, kind == K_CLOSURE ? CLO : PROM, kind, value, environment != Py_None))
        return GIVE_UP;
    return later(w, P_VALUE, SLOT(kind, value, BODY)) || later(w, P_VALUE, SLOT(kind, value, FORMALS))
            || later_if_any(w, environment) || write_attributes(w, SLOT(kind, value, ATTRIBUTES))
        ? GIVE_UP
        : 0;
}

/* -- what is entered in the reference table */

static int write_environment(Writer *w, PyObject *value)
{
    int is_new = enter(w, value);
    if (is_new <= 0)
        return is_new;
    PyObject *attributes = SLOT(K_ENVIRONMENT, value, ENV_ATTRIBUTES),
             *locked = SLOT(K_ENVIRONMENT, value, LOCKED);
    if (attributes == NULL || (locked != Py_True && locked != Py_False) || room_for(w, 8))
        return GIVE_UP;
    put_word(w, ENV);
    put_word(w, locked == Py_True);
    return later(w, P_VALUE, attributes == Py_None ? null : attributes)
            || later(w, P_VALUE, SLOT(K_ENVIRONMENT, value, BUCKETS))
            || later(w, P_VALUE, SLOT(K_ENVIRONMENT, value, FRAME))
            || later(w, P_VALUE, SLOT(K_ENVIRONMENT, value, PARENT))
        ? GIVE_UP
        : 0;
}

static int write_pointer(Writer *w, PyObject *value)
{
    int is_new = enter(w, value);
    if (is_new <= 0)
        return is_new;
    PyObject *protected = SLOT(K_EXTERNAL_POINTER, value, PROTECTED);
    if (protected == NULL || put_flags(w, EXTPTR, K_EXTERNAL_POINTER, value, 0)
        || later_if_any(w, SLOT(K_EXTERNAL_POINTER, value, ATTRIBUTES))
        || later(w, P_VALUE, SLOT(K_EXTERNAL_POINTER, value, POINTER_TAG)))
        return GIVE_UP;
    return IS(K_LIST, protected) ? write_list(w, K_LIST, protected, P_KEYED_CHAINS)
                                 : write_item(w, protected);
}

static int write_bare(Writer *w, Kind kind, PyObject *value)
{
    if (kind == K_WEAK_REFERENCE) {
        int is_new = enter(w, value);
        if (is_new <= 0)
            return is_new;
    }
    return put_flags(w, kind == K_S4 ? S4SXP : WEAKREF, kind, value, 0)
        ? GIVE_UP
        : write_attributes(w, SLOT(kind, value, ATTRIBUTES));
}

static int write_named(Writer *w, Kind kind, PyObject *value)
{
    PyObject *texts = tuple_in(kind, value, NAME);
    /* A persistent name is written in full each time, and each time is a new entry. */
    int is_new = kind == K_PERSISTENT ? !write_new_entry(w) : enter(w, value);
    if (texts == NULL || is_new < 0)
        return GIVE_UP;
    if (!is_new)
        return 0;
    if (room_for(w, 12) || PyTuple_GET_SIZE(texts) > 0x7FFFFFFF)
        return GIVE_UP;
    put_word(w, kind == K_PERSISTENT ? PERSIST : kind == K_NAMESPACE ? NAMESPACE : PACKAGE);
    put_word(w, 0);
    put_word(w, (uint32_t)PyTuple_GET_SIZE(texts));
    return write_strings(w, texts);
}

/* -- atoms */

static int write_marker(Writer *w, PyObject *value)
{
    for (uint32_t code = NIL; code >= BASEENV; code--) { /* NULL first: most are */
        if (markers[code] == value) {
            if (room_for(w, 4))
                return GIVE_UP;
            put_word(w, code);
            return 0;
        }
    }
    return GIVE_UP;
}

static int write_builtin(Writer *w, PyObject *value)
{
    PyObject *name = SLOT(K_BUILTIN, value, BUILTIN_NAME), *special = SLOT(K_BUILTIN, value, BUILTIN_SPECIAL);
    uint32_t gp;
    if (name == NULL || !PyUnicode_CheckExact(name) || !is_ready(name) || !PyUnicode_IS_ASCII(name)
        || (special != Py_True && special != Py_False)
        || small_number(SLOT(K_BUILTIN, value, BUILTIN_GP), 0xFFFF, &gp))
        return GIVE_UP;
    size_t size = (size_t)PyUnicode_GET_LENGTH(name);
    if (size > MAX_BUILTIN || room_for(w, size + 8))
        return GIVE_UP;
    put_word(w, (special == Py_True ? SPECIAL : BUILTIN) | gp << GP_SHIFT);
    put_word(w, (uint32_t)size);
    put_bytes(w, PyUnicode_1BYTE_DATA(name), size);
    return 0;
}

/* -- bytecode */

static int write_bytecode(Writer *w, PyObject *value)
{
    uint32_t shared;
    if (small_number(SLOT(K_BYTECODE, value, SHARED_COUNT), 0x7FFFFFFF, &shared)
        || put_flags(w, BCODE, K_BYTECODE, value, 0))
        return GIVE_UP;
    put_word(w, shared);
    return later_if_any(w, SLOT(K_BYTECODE, value, ATTRIBUTES))
            || later(w, P_VALUE, SLOT(K_BYTECODE, value, CODE_BODY))
        ? GIVE_UP
        : 0;
}

static int write_code_body(Writer *w, PyObject *value)
{
    PyObject *code = SLOT(K_CODE_BODY, value, CODE), *constants = tuple_in(K_CODE_BODY, value, CONSTANTS);
    if (code == NULL || constants == NULL || !IS(K_INTEGER, code)
        || SLOT(K_INTEGER, code, ATTRIBUTES) != Py_None || write_numbers(w, K_INTEGER, code) || room_for(w, 4)
        || PyTuple_GET_SIZE(constants) > 0x7FFFFFFF)
        return GIVE_UP;
    put_word(w, (uint32_t)PyTuple_GET_SIZE(constants));
    return later(w, P_CONSTANTS, constants);
}

static int write_constant(Writer *w, PyObject *value)
{
    PyObject *inner = SLOT(K_CONSTANT, value, CONSTANT_VALUE);
    uint32_t code;
    if (inner == NULL || room_for(w, 4))
        return GIVE_UP;
    if (!IS(K_CALL_TREE, inner) && !IS(K_SHARED_CALL, inner)) {
        if (small_number(SLOT(K_CONSTANT, value, CONSTANT_CODE), 255, &code))
            return GIVE_UP;
        put_word(w, code);
    }
    return later(w, P_VALUE, inner);
}

static int write_call_tree(Writer *w, PyObject *value)
{
    PyObject *shared = SLOT(K_CALL_TREE, value, TREE_SHARED),
             *attributes = SLOT(K_CALL_TREE, value, TREE_ATTRIBUTES);
    uint32_t code, index;
    if (attributes == NULL || small_number(SLOT(K_CALL_TREE, value, TREE_CODE), 255, &code)
        || room_for(w, 12))
        return GIVE_UP;
    if (shared != Py_None) {
        if (small_number(shared, 0x7FFFFFFF, &index))
            return GIVE_UP;
        put_word(w, BCREPDEF);
        put_word(w, index);
    }
    put_word(w, code);
    return later(w, P_VALUE, SLOT(K_CALL_TREE, value, TREE_CDR))
            || later(w, P_VALUE, SLOT(K_CALL_TREE, value, TREE_CAR))
            || later(w, P_VALUE, SLOT(K_CALL_TREE, value, TREE_TAG)) || later_if_any(w, attributes)
        ? GIVE_UP
        : 0;
}

static int write_shared_call(Writer *w, PyObject *value)
{
    uint32_t index;
    if (small_number(SLOT(K_SHARED_CALL, value, NAME), 0x7FFFFFFF, &index) || room_for(w, 8))
        return GIVE_UP;
    put_word(w, BCREPREF);
    put_word(w, index);
    return 0;
}

/* -- any value */

int write_item(Writer *w, PyObject *value)
{
    Kind kind = kind_of(value);
    switch (kind) {
    case K_LOGICAL:
    case K_INTEGER:
    case K_DOUBLE:
    case K_COMPLEX:
        return write_numbers(w, kind, value);
    case K_CHARACTER:
        return write_character(w, value);
    case K_RAW:
        return write_raw(w, value);
    case K_LIST:
    case K_EXPRESSION:
        return write_list(w, kind, value, P_TUPLE);
    case K_PAIRLIST:
    case K_CALL:
    case K_DOT_ARGS:
        return write_pairs(w, kind, value, 0);
    case K_SYMBOL:
        return SLOT(K_SYMBOL, value, NAME) == NULL ? GIVE_UP : write_symbol(w, value);
    case K_NULL:
    case K_ENVIRONMENT_MARKER:
    case K_MARKER:
        return write_marker(w, value);
    case K_CHAR:
        return SLOT(K_CHAR, value, NAME) == NULL ? GIVE_UP : write_char(w, SLOT(K_CHAR, value, NAME));
    case K_BUILTIN:
        return write_builtin(w, value);
    case K_NAMESPACE:
    case K_PACKAGE:
    case K_PERSISTENT:
        return write_named(w, kind, value);
    case K_ALTREP:
        return write_altrep(w, value);
    case K_CLOSURE:
    case K_PROMISE:
        return write_function(w, kind, value);
    case K_ENVIRONMENT:
        return write_environment(w, value);
    case K_EXTERNAL_POINTER:
        return write_pointer(w, value);
    case K_WEAK_REFERENCE:
    case K_S4:
        return write_bare(w, kind, value);
    case K_BYTECODE:
        return write_bytecode(w, value);
    case K_CODE_BODY:
        return write_code_body(w, value);
    case K_CONSTANT:
        return write_constant(w, value);
    case K_CALL_TREE:
        return write_call_tree(w, value);
    case K_SHARED_CALL:
        return write_shared_call(w, value);
    case K_CELL:
    case K_RTEXT:
    case K_OTHER:
        break;
    }
    return GIVE_UP;
}

/* The elements of the list on top, up to one that leaves something for later; then its attributes. */
static int next_elements(Writer *w)
{
    Py_ssize_t depth = w->count;
    int keyed = w->todo[depth - 1].work == P_KEYED_CHAINS;
    PyObject *list = w->todo[depth - 1].value;
    PyObject *values = SLOT(K_LIST, list, VALUES);
    while (w->todo[depth - 1].next < PyTuple_GET_SIZE(values)) {
        PyObject *value = PyTuple_GET_ITEM(values, w->todo[depth - 1].next++);
        if (keyed && IS(K_PAIRLIST, value) ? write_pairs(w, K_PAIRLIST, value, 1) : write_item(w, value))
            return GIVE_UP;
        if (w->count != depth)
            return 0;
    }
    w->count--;
    return write_attributes(w, SLOT(K_LIST, list, ATTRIBUTES));
}

static int next_cells(Writer *w)
{
    Py_ssize_t depth = w->count;
    int keyed = w->todo[depth - 1].work == P_KEYED_CELLS;
    PyObject *pairs = w->todo[depth - 1].value;
    Kind kind = kind_of(pairs);
    PyObject *cells = SLOT(kind, pairs, CELLS), *end = SLOT(kind, pairs, END);
    while (w->todo[depth - 1].next < PyTuple_GET_SIZE(cells)) {
        Py_ssize_t index = w->todo[depth - 1].next++;
        if (write_cell(w, PyTuple_GET_ITEM(cells, index), kind, index == 0, keyed))
            return GIVE_UP;
        if (w->count != depth)
            return 0;
    }
    w->count--;
    return end == NULL ? GIVE_UP : write_item(w, end);
}

static int next_constant(Writer *w)
{
    Pending *pending = &w->todo[w->count - 1];
    if (pending->next < PyTuple_GET_SIZE(pending->value))
        return write_item(w, PyTuple_GET_ITEM(pending->value, pending->next++));
    w->count--;
    return 0;
}

static int write_one(Writer *w, PyObject *value)
{
    if (write_item(w, value))
        return GIVE_UP;
    while (w->count) {
        Pending *pending = &w->todo[w->count - 1];
        int failed = GIVE_UP;
        switch (pending->work) {
        case P_VALUE:
            w->count--;
            failed = write_item(w, pending->value);
            break;
        case P_TUPLE:
        case P_KEYED_CHAINS:
            failed = next_elements(w);
            break;
        case P_CELLS:
        case P_KEYED_CELLS:
            failed = next_cells(w);
            break;
        case P_REST_OF_CELL:
        case P_REST_OF_KEYED_CELL:
            w->count--;
            failed = write_rest_of_cell(w, pending->value, pending->work == P_REST_OF_KEYED_CELL);
            break;
        case P_CONSTANTS:
            failed = next_constant(w);
            break;
        }
        if (failed)
            return GIVE_UP;
    }
    return 0;
}

PyObject *speed_dumps(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_CheckExact(args[1]) || !PyLong_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "dumps(value: RValue, header: bytes, version: int)");
        return NULL;
    }
    Writer *w = PyMem_Malloc(sizeof *w);
    if (w == NULL)
        return PyErr_NoMemory();
    memset(w, 0, offsetof(Writer, small));
    w->bytes = w->small;
    w->capacity = SMALL;
    w->version = PyLong_AsLong(args[2]) == 2 ? 2 : 3;
    const char *header = PyBytes_AS_STRING(args[1]);
    Py_ssize_t size = PyBytes_GET_SIZE(args[1]);
    w->little = size > 0 && header[0] == 'B';
    PyObject *found = NULL;
    if (!PyErr_Occurred() && !room_for(w, (size_t)size)) {
        put_bytes(w, header, (size_t)size);
        if (!write_one(w, args[0]))
            found = output(w);
    }
    release(w);
    PyMem_Free(w);
    if (found == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return found;
}
