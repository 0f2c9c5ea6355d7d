/* Bytes to values: the same as serialize/reader.py.
 *
 * An item without items inside is read at once. For the others a frame is pushed, which says what is being
 * built and which part comes next; parts lie on a stack of values until the item is whole. Depth and length
 * are bounded by memory and max_depth, never by C's stack, and memory by what has really been read: a length
 * that the input merely announces reserves nothing.
 */
#include "reader.h"

int push(Reader *r, PyObject *value)
{
    if (value == NULL || grow(&r->values, &r->value_capacity, r->count, sizeof *r->values)) {
        Py_XDECREF(value);
        return GIVE_UP;
    }
    r->values[r->count++] = value;
    return 0;
}

PyObject *pop(Reader *r)
{
    return r->values[--r->count];
}

Frame *push_frame(Reader *r, Work work, Kind kind, uint32_t flags)
{
    if (r->depth >= r->max_depth || grow(&r->frames, &r->frame_capacity, r->depth, sizeof *r->frames))
        return NULL;
    Frame *frame = &r->frames[r->depth++];
    *frame = (Frame){.work = (uint8_t)work, .kind = (uint8_t)kind, .flags = flags, .base = r->count};
    r->pushed++;
    return frame;
}

int finish(Reader *r, PyObject *value)
{
    r->depth--;
    return push(r, value);
}

/* -- attributes and other pairlists without calls */

static Known *known_place(Reader *r)
{
    if (r->end - r->at < KNOWN_PREFIX)
        return NULL;
    /* Flags and tag tell little; the words after them, the value's, make the difference. */
    uint64_t words[3];
    memcpy(words, r->at + 8, sizeof words);
    uint64_t hash = (words[0] * 31 + words[1]) * 0x9E3779B97F4A7C15u ^ words[2] * 0xC2B2AE3D27D4EB4Fu;
    return &r->known[(hash ^ hash >> 32) % KNOWN];
}

/* A pairlist without calls in the chain, or NULL; nothing else may stand here. Attributes are looked for
 * among those read before: the lists of a list are mostly alike. */
int chain_or_null(Reader *r, int of_attributes)
{
    const uint8_t *start = r->at;
    if (of_attributes && r->depth < r->max_depth) {
        Known *known = known_place(r);
        if (known != NULL && known->size && known->size <= r->end - start
            && !memcmp(known->start, start, (size_t)known->size)) {
            r->at += known->size;
            return push(r, Py_NewRef(known->value));
        }
    }
    uint32_t flags;
    if (flags_word(r, &flags))
        return GIVE_UP;
    if (flags == NIL)
        return push(r, Py_NewRef(null));
    if ((flags & 0xFF) != LIST)
        return GIVE_UP;
    Frame *frame = push_frame(r, F_PAIRS, K_PAIRLIST, flags);
    if (frame == NULL)
        return GIVE_UP;
    frame->code = LIST;
    frame->proper = 1;
    if (of_attributes) {
        frame->start = start;
        frame->references = r->known_references;
        frame->pushed = r->pushed;
    }
    return 0;
}

/* Keep attributes in mind if the same bytes would mean the same again: no entry of the reference table is
 * made in them, and they are not so deep that they could pass the limit elsewhere. */
static void keep_in_mind(Reader *r, const Frame *frame, PyObject *value)
{
    const uint8_t *end = r->at;
    Py_ssize_t size = end - frame->start;
    if (frame->references != r->known_references || frame->pushed != r->pushed || size < KNOWN_PREFIX
        || size > LONGEST_KNOWN)
        return;
    r->at = frame->start;
    Known *known = known_place(r);
    r->at = end;
    Py_XSETREF(known->value, Py_NewRef(value));
    known->start = frame->start;
    known->size = size;
}

/* -- vectors */

PyObject *vector(Reader *r, Kind kind, PyObject *values, uint32_t flags, PyObject *attributes)
{
    PyObject *found = values == NULL ? NULL : new_value(kind);
    if (found == NULL) {
        Py_XDECREF(values);
        Py_XDECREF(attributes);
        return NULL;
    }
    SLOT(kind, found, VALUES) = values;
    if (set_attributed(found, kind, flags, attributes))
        Py_CLEAR(found);
    else
        made(r, found);
    return found;
}

static int atoms(Reader *r, Kind kind, PyObject *values, uint32_t flags)
{
    if (values == NULL || !(flags & HAS_ATTRIBUTES))
        return push(r, vector(r, kind, values, flags, NULL));
    if (push_frame(r, F_VECTOR, kind, flags) == NULL) {
        Py_DECREF(values);
        return GIVE_UP;
    }
    return push(r, values) || chain_or_null(r, 1) ? GIVE_UP : 0;
}

static int vector_step(Reader *r)
{
    Frame *frame = top(r);
    PyObject *attributes = pop(r), *values = pop(r);
    return finish(r, vector(r, frame->kind, values, frame->flags, attributes));
}

static int numbers(Reader *r, Kind kind, uint32_t flags)
{
    Py_ssize_t count;
    int code = flags & 0xFF;
    if (length(r, code == CPLX ? 16 : code == REAL ? 8 : 4, &count))
        return GIVE_UP;
    return atoms(r, kind, array(r, code, count), flags);
}

static int raw(Reader *r, uint32_t flags)
{
    Py_ssize_t count;
    if (length(r, 1, &count))
        return GIVE_UP;
    r->at += count;
    return atoms(r, K_RAW, PyBytes_FromStringAndSize((const char *)r->at - count, count), flags);
}

static int character(Reader *r, uint32_t flags)
{
    Py_ssize_t count;
    return length(r, 8, &count) ? GIVE_UP : atoms(r, K_CHARACTER, strings(r, count), flags);
}

/* What may be a pairlist with keys. */
static int keyed_item(Reader *r)
{
    uint32_t flags;
    if (flags_word(r, &flags) || item_of(r, flags))
        return GIVE_UP;
    if ((flags & 0xFF) == LIST)
        top(r)->keyed = 1;
    return 0;
}

/* That of utils::hashtab() has a list of pairlists with keys. */
int protected_item(Reader *r)
{
    uint32_t flags;
    if (flags_word(r, &flags) || item_of(r, flags))
        return GIVE_UP;
    if ((flags & 0xFF) == VEC)
        top(r)->keyed = 1;
    return 0;
}

static int items_step(Reader *r)
{
    Py_ssize_t depth = r->depth;
    while (r->frames[depth - 1].left > 0) {
        r->frames[depth - 1].left--;
        if (r->frames[depth - 1].keyed ? keyed_item(r) : item(r))
            return GIVE_UP;
        if (r->depth != depth)
            return 0;
    }
    Frame *frame = top(r);
    if (frame->flags & HAS_ATTRIBUTES && frame->state == 0) {
        frame->state = 1;
        return chain_or_null(r, 1);
    }
    PyObject *attributes = frame->state ? pop(r) : NULL;
    return finish(r, vector(r, frame->kind, tuple_of(r, frame->base), frame->flags, attributes));
}

static int items(Reader *r, uint32_t flags)
{
    Frame *frame = push_frame(r, F_ITEMS, (flags & 0xFF) == VEC ? K_LIST : K_EXPRESSION, flags);
    return frame == NULL || length(r, 4, &frame->left) ? GIVE_UP : 0;
}

/* -- pairlists and calls */

static int pairs(Reader *r, uint32_t flags, int dotted)
{
    uint32_t code = flags & 0xFF;
    Frame *frame = push_frame(r, F_PAIRS,
        code == LIST       ? K_PAIRLIST
            : code == LANG ? K_CALL
                           : K_DOT_ARGS,
        flags);
    if (frame == NULL)
        return GIVE_UP;
    frame->code = code;
    frame->dotted = (uint8_t)dotted;
    return 0;
}

/* The cell whose attributes, tag and value lie on the stack, as far as it has them. */
static PyObject *cell(Reader *r, uint32_t flags, int is_first)
{
    PyObject *found = new_value(K_CELL);
    if (found == NULL)
        return NULL;
    SLOT(K_CELL, found, CELL_VALUE) = pop(r);
    SLOT(K_CELL, found, CELL_TAG) = flags & HAS_TAG ? pop(r) : Py_NewRef(Py_None);
    SLOT(K_CELL, found, CELL_IS_CALL) = PyBool_FromLong(!is_first && (flags & 0xFF) == LANG);
    if (set_attributed(found, K_CELL, flags, flags & HAS_ATTRIBUTES ? pop(r) : NULL))
        Py_CLEAR(found);
    else
        made(r, found);
    return found;
}

static int pairs_end(Reader *r)
{
    Frame *frame = top(r);
    PyObject *end = pop(r);
    PyObject *found = new_value(frame->kind);
    if (found == NULL) {
        Py_DECREF(end);
        return GIVE_UP;
    }
    SLOT(frame->kind, found, END) = end;
    SLOT(frame->kind, found, CELLS) = tuple_of(r, frame->base);
    if (SLOT(frame->kind, found, CELLS) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    if (frame->start != NULL)
        keep_in_mind(r, frame, found);
    return finish(r, found);
}

enum { CELL_BEGINS, ITS_ATTRIBUTES_READ, ITS_KEY_READ, ITS_VALUE_READ, END_READ };

static int pairs_step(Reader *r)
{
    Frame *frame = top(r);
    if (frame->state == CELL_BEGINS && frame->flags & HAS_ATTRIBUTES) {
        frame->state = ITS_ATTRIBUTES_READ;
        return chain_or_null(r, 1);
    }
    if (frame->state == END_READ)
        return pairs_end(r);
    if (frame->keyed && frame->flags & HAS_TAG && frame->state < ITS_KEY_READ) {
        frame->state = ITS_KEY_READ;
        return item(r);
    }
    if (frame->state != ITS_VALUE_READ) {
        int tag_is_due = frame->flags & HAS_TAG && frame->state != ITS_KEY_READ;
        frame->state = ITS_VALUE_READ;
        if (tag_is_due) {
            PyObject *tag = symbol(r);
            if (tag == NULL || push(r, Py_NewRef(tag)))
                return GIVE_UP;
        }
        return item(r);
    }
    if (push(r, cell(r, frame->flags, frame->left == 0)))
        return GIVE_UP;
    frame->left++; /* counts up here: cells so far */
    uint32_t flags;
    if (flags_word(r, &flags))
        return GIVE_UP;
    if ((flags & 0xFF) == LIST || (flags & 0xFF) == LANG) {
        if (frame->proper && (flags & 0xFF) == LANG)
            return GIVE_UP;
        frame->flags = flags;
        frame->state = CELL_BEGINS;
        return 0;
    }
    frame->state = END_READ;
    if (flags == NIL)
        return push(r, Py_NewRef(null));
    return frame->dotted && frame->left == 1 ? item_of(r, flags) : GIVE_UP;
}

/* -- any item */

static int char_item(Reader *r, uint32_t flags)
{
    PyObject *text = char_body(r, flags);
    PyObject *found = text == NULL ? NULL : new_value(K_CHAR);
    if (found == NULL) {
        Py_XDECREF(text);
        return GIVE_UP;
    }
    SLOT(K_CHAR, found, NAME) = text;
    return push(r, found);
}

int item_of(Reader *r, uint32_t flags)
{
    switch (flags & 0xFF) {
    case INT:
        return numbers(r, K_INTEGER, flags);
    case REAL:
        return numbers(r, K_DOUBLE, flags);
    case LGL:
        return numbers(r, K_LOGICAL, flags);
    case CPLX:
        return numbers(r, K_COMPLEX, flags);
    case STR:
        return character(r, flags);
    case RAW:
        return raw(r, flags);
    case VEC:
    case EXPR:
        return items(r, flags);
    case LIST:
    case LANG:
    case DOT:
        return pairs(r, flags, 0);
    case SYM:
        return push(r, Py_XNewRef(new_symbol(r)));
    case REF:
        return push(r, Py_XNewRef(reference(r, flags)));
    case CHAR:
        return char_item(r, flags);
    case CLO:
        return push_frame(r, F_FUNCTION, K_CLOSURE, flags) == NULL ? GIVE_UP : 0;
    case PROM:
        return push_frame(r, F_FUNCTION, K_PROMISE, flags) == NULL ? GIVE_UP : 0;
    case ENV:
        return environment(r, flags);
    case SPECIAL:
    case BUILTIN:
        return push(r, builtin(r, flags));
    case NAMESPACE:
    case PACKAGE:
    case PERSIST:
        return push(r, named_reference(r, flags));
    case EXTPTR:
        return pointer(r, flags);
    case WEAKREF:
    case S4SXP:
        return bare(r, flags);
    case ALTREP:
        return altrep(r, flags);
    case BCODE:
        return bytecode(r, flags);
    default:
        return push(r, Py_XNewRef(markers[flags & 0xFF]));
    }
}

int item(Reader *r)
{
    uint32_t flags;
    return flags_word(r, &flags) ? GIVE_UP : item_of(r, flags);
}

static int step(Reader *r)
{
    switch ((Work)top(r)->work) {
    case F_VECTOR:
        return vector_step(r);
    case F_ITEMS:
        return items_step(r);
    case F_PAIRS:
        return pairs_step(r);
    case F_FUNCTION:
        return function_step(r);
    case F_ENVIRONMENT:
        return environment_step(r);
    case F_BUCKETS:
        return buckets_step(r);
    case F_POINTER:
        return pointer_step(r);
    case F_BARE:
        return bare_step(r);
    case F_ALTREP:
        return altrep_step(r);
    case F_BYTECODE:
        return bytecode_step(r);
    case F_CODE_BODY:
        return code_body_step(r);
    case F_TREE:
        return tree_step(r);
    case F_LEAF:
        return leaf_step(r);
    }
    return GIVE_UP;
}

static PyObject *read_one(Reader *r)
{
    if (item(r))
        return NULL;
    while (r->depth)
        if (step(r))
            return NULL;
    return pop(r);
}

static void release(Reader *r)
{
    while (r->count)
        Py_DECREF(pop(r));
    for (Py_ssize_t i = 0; i < r->known_references; i++)
        Py_DECREF(r->references[i]);
    for (int i = 0; i < KNOWN; i++)
        Py_XDECREF(r->known[i].value);
    for (int i = 0; i < TEXTS; i++)
        Py_XDECREF(r->texts[i]);
    Py_DECREF(r->native);
    PyMem_Free(r->frames);
    PyMem_Free(r->values);
    PyMem_Free(r->references);
    PyMem_Free(r->defined.keys);
}

PyObject *speed_loads(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 3 || !PyBytes_CheckExact(args[0]) || !PyLong_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "loads(data: bytes, keep_mmap: bool, max_depth: int)");
        return NULL;
    }
    Reader *r = PyMem_Calloc(1, sizeof *r);
    if (r == NULL)
        return PyErr_NoMemory();
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(args[0]);
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]), position;
    r->owner = args[0];
    r->keep_mmap = args[1] == Py_True;
    r->max_depth = PyLong_AsSsize_t(args[2]);
    PyObject *found = NULL;
    if (PyErr_Occurred()) {
        PyErr_Clear(); /* a limit beyond all numbers: Python's business */
    } else if (!read_header(data, size, &position, &r->little, &r->native)) {
        r->at = data + position;
        r->end = data + size;
        found = read_one(r);
        release(r);
    }
    PyMem_Free(r);
    if (found == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return found;
}
