/* walk and outline: serialize/walk.py. */
#include "scan.h"

enum { MAX_LEVELS = 16 };

typedef struct {
    Scan scan;
    PyObject *outline; /* the class */
    PyObject *utf8;
} Outliner;

static int start(Scan *s, PyObject *data, PyObject *max_depth, Py_ssize_t *position)
{
    PyObject *native;
    s->data = (const uint8_t *)PyBytes_AS_STRING(data);
    s->size = PyBytes_GET_SIZE(data);
    s->max_depth = PyLong_AsSsize_t(max_depth);
    if (PyErr_Occurred()) {
        PyErr_Clear();
        return GIVE_UP;
    }
    if (read_header(s->data, s->size, position, &s->little, &native))
        return GIVE_UP;
    Py_DECREF(native);
    return 0;
}

static void stop(Scan *s)
{
    PyMem_Free(s->frames);
    PyMem_Free(s->references);
    PyMem_Free(s->defined.keys);
}

PyObject *speed_walk(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_CheckExact(args[0]) || !PyLong_Check(args[1])) {
        PyErr_SetString(PyExc_TypeError, "walk(data: bytes, max_depth: int)");
        return NULL;
    }
    Scan s = {0};
    Py_ssize_t position;
    int is_sound = !start(&s, args[0], args[1], &position) && !scan(&s, &position, any_item);
    stop(&s);
    if (PyErr_Occurred())
        return NULL;
    if (is_sound)
        Py_RETURN_TRUE;
    Py_RETURN_NONE;
}

/* -- names of a list */

/* A CHAR of a names attribute: "" for NA, and text without regard to marks if it is ASCII. The item is sound.
 */
static PyObject *name_at(Outliner *o, Py_ssize_t *position)
{
    uint32_t flags, size;
    if (scan_word(&o->scan, position, &flags) || scan_word(&o->scan, position, &size))
        return NULL;
    if (size == 0xFFFFFFFFu)
        return ascii_text(NULL, 0);
    const uint8_t *text = o->scan.data + *position;
    *position += size;
    int what = classify(text, size);
    return new_text(text, size, what == ASCII_TEXT ? ASCII_BIT : flags >> GP_SHIFT, what, o->utf8);
}

static PyObject *plain_names(Outliner *o, Py_ssize_t position, Py_ssize_t count)
{
    PyObject *names = PyTuple_New(count);
    for (Py_ssize_t i = 0; names != NULL && i < count; i++) {
        PyObject *name = name_at(o, &position);
        if (name == NULL)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name);
    }
    return names;
}

static PyObject *decimal(int64_t number)
{
    char text[24];
    int size = PyOS_snprintf(text, sizeof text, "%lld", (long long)number);
    return ascii_text((const uint8_t *)text, size);
}

/* Names that R made from integers and left undone, as it does with those of doRedis's iterations: a deferred
 * string of an integer vector, or of a compact sequence. Gives up on all others. */
static PyObject *deferred_names(Outliner *o, Py_ssize_t *position, Py_ssize_t wanted)
{
    Scan *s = &o->scan;
    ScanFrame rest = {0};
    uint32_t flags, word_after;
    uint64_t count;
    if (scan_word(s, position, &flags) || compact(s, position, flags, string_vector, &rest) || rest.count != 3
        || rest.parts[0] != numbers_place || rest.parts[2] != pairlist || scan_word(s, position, &flags))
        return NULL;
    int64_t first = 0, step = 1;
    Py_ssize_t numbers = *position;
    if (flags == ALTREP) {
        ScanFrame attributes = {0};
        double triple[3];
        if (compact(s, position, flags, numbers_place, &attributes) || attributes.count != 1
            || attributes.parts[0] != pairlist)
            return NULL;
        /* What lies before the state says whether the sequence is one of integers. */
        if (load32(s->data + *position - 40, s->little) != INT)
            return NULL;
        copy_numbers((uint8_t *)triple, s->data + *position - 24, sizeof triple, 8, foreign(s->little));
        if (triple[0] > (double)wanted || scan_word(s, position, &word_after) || word_after != NIL)
            return NULL;
        count = (uint64_t)triple[0];
        first = (int64_t)triple[1];
        step = (int64_t)triple[2];
        numbers = -1;
    } else {
        if (flags != INT || scan_length(s, position, &count) || count != (uint64_t)wanted
            || count > (uint64_t)(s->size - *position) / 4)
            return NULL;
        numbers = *position;
        *position += (Py_ssize_t)count * 4;
    }
    /* One integer, the scipen, with or without the decimal sign; then no attributes. */
    if (scan(s, position, one_integer) || scan_word(s, position, &word_after) || word_after != NIL)
        return NULL;
    PyObject *names = PyTuple_New((Py_ssize_t)count);
    for (Py_ssize_t i = 0; names != NULL && i < (Py_ssize_t)count; i++) {
        int64_t number =
            numbers < 0 ? first + step * i : (int32_t)load32(s->data + numbers + 4 * i, s->little);
        PyObject *name = number == INT32_MIN ? ascii_text(NULL, 0) : decimal(number);
        if (name == NULL)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name);
    }
    return names;
}

static PyObject *names_value(Outliner *o, Py_ssize_t *position, Py_ssize_t wanted)
{
    Scan *s = &o->scan;
    if (s->size - *position < 8)
        return NULL;
    uint32_t flags = load32(s->data + *position, s->little);
    if (flags == ALTREP)
        return deferred_names(o, position, wanted);
    Py_ssize_t begin = *position;
    uint32_t count = load32(s->data + begin + 4, s->little);
    if (flags != STR || count != (uint64_t)wanted || scan(s, position, any_item))
        return NULL;
    return plain_names(o, begin + 8, wanted);
}

/* The names among the attributes at *position, a new reference, None if there are none; NULL: given up. */
static PyObject *find_names(Outliner *o, Py_ssize_t *position, Py_ssize_t wanted, int owes_class)
{
    Scan *s = &o->scan;
    PyObject *names = NULL;
    for (;;) {
        Py_ssize_t here = *position;
        uint32_t flags;
        if (scan_word(s, &here, &flags))
            break;
        if (flags != (LIST | HAS_TAG)) {
            /* The end; or cells of another kind, which R never writes here. */
            if (scan(s, position, owes_class ? classed : pairlist))
                break;
            return names == NULL ? Py_NewRef(Py_None) : names;
        }
        uint32_t tag_flags;
        Py_ssize_t at_tag = here;
        if (scan(s, &here, tag_place) || scan_word(s, &at_tag, &tag_flags))
            break;
        const Reference *tag =
            tag_flags == SYM ? &s->references[s->known - 1] : scan_reference(s, &at_tag, tag_flags);
        *position = here;
        if (tag == NULL || tag->name < 0)
            break;
        if (names == NULL && is_named(s, tag, "names")) {
            names = names_value(o, position, wanted);
            if (names == NULL)
                return NULL;
        } else if (owes_class && is_named(s, tag, "class")) {
            owes_class = 0;
            if (scan(s, position, string_vector))
                break;
        } else if (scan(s, position, any_item)) {
            break;
        }
    }
    Py_XDECREF(names);
    return NULL;
}

/* -- items */

/* Steals names, children and text. */
static PyObject *new_outline(
    Outliner *o, PyObject *names, PyObject *children, PyObject *text, Py_ssize_t begin, Py_ssize_t end)
{
    PyTypeObject *type = (PyTypeObject *)o->outline;
    PyObject *found = type->tp_alloc(type, 5),
             *numbers[] = {PyLong_FromSsize_t(begin), PyLong_FromSsize_t(end)};
    if (found == NULL || numbers[0] == NULL || numbers[1] == NULL || names == NULL || children == NULL
        || text == NULL) {
        Py_XDECREF(found);
        Py_XDECREF(names);
        Py_XDECREF(children);
        Py_XDECREF(text);
        Py_XDECREF(numbers[0]);
        Py_XDECREF(numbers[1]);
        return NULL;
    }
    PyTuple_SET_ITEM(found, 0, names);
    PyTuple_SET_ITEM(found, 1, children);
    PyTuple_SET_ITEM(found, 2, text);
    PyTuple_SET_ITEM(found, 3, numbers[0]);
    PyTuple_SET_ITEM(found, 4, numbers[1]);
    return found;
}

static PyObject *nothing(void)
{
    return Py_NewRef(Py_None);
}

static PyObject *outline_item(Outliner *o, Py_ssize_t *position, int levels);

static PyObject *outline_list(Outliner *o, Py_ssize_t begin, Py_ssize_t *position, uint32_t flags, int levels)
{
    Scan *s = &o->scan;
    uint64_t count;
    if ((flags & (HAS_ATTRIBUTES | IS_OBJECT)) == IS_OBJECT || scan_length(s, position, &count)
        || count > (uint64_t)(s->size - *position) / 4)
        return NULL;
    PyObject *children = PyList_New(0); /* it grows: what is announced is not yet there */
    for (uint64_t i = 0; children != NULL && i < count; i++) {
        PyObject *child = outline_item(o, position, levels - 1);
        if (child == NULL || PyList_Append(children, child))
            Py_CLEAR(children);
        Py_XDECREF(child);
    }
    if (children == NULL)
        return NULL;
    PyObject *names = flags & HAS_ATTRIBUTES
        ? find_names(o, position, (Py_ssize_t)count, (flags & IS_OBJECT) != 0)
        : nothing();
    if (names == NULL || (names != Py_None && (uint64_t)PyTuple_GET_SIZE(names) != count)) {
        Py_XDECREF(names);
        Py_DECREF(children);
        return NULL;
    }
    PyObject *tuple = PyList_AsTuple(children);
    Py_DECREF(children);
    return new_outline(o, names, tuple, nothing(), begin, *position);
}

/* The text of a character vector of length 1, which is at `begin` and sound. */
static PyObject *only_text(Outliner *o, Py_ssize_t begin)
{
    Scan *s = &o->scan;
    uint32_t flags, size;
    Py_ssize_t position = begin + 8;
    if (scan_word(s, &position, &flags) || scan_word(s, &position, &size))
        return NULL;
    if (size == 0xFFFFFFFFu)
        return nothing();
    const uint8_t *text = s->data + position;
    return new_text(text, size, flags >> GP_SHIFT, classify(text, size), o->utf8);
}

static PyObject *outline_item(Outliner *o, Py_ssize_t *position, int levels)
{
    Scan *s = &o->scan;
    Py_ssize_t begin = *position, after = begin;
    uint32_t flags, count = 0;
    if (scan_word(s, &after, &flags))
        return NULL;
    if ((flags & 0xFF) == VEC && levels) {
        *position = after;
        return outline_list(o, begin, position, flags, levels);
    }
    if (flags == STR && scan_word(s, &after, &count))
        return NULL;
    if (scan(s, position, any_item))
        return NULL;
    PyObject *text = flags == STR && count == 1 ? only_text(o, begin) : nothing();
    return new_outline(o, nothing(), nothing(), text, begin, *position);
}

PyObject *speed_outline(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    if (count != 4 || !PyBytes_CheckExact(args[0]) || !PyLong_Check(args[1]) || !PyLong_Check(args[2])
        || !PyType_Check(args[3]) || !PyType_IsSubtype((PyTypeObject *)args[3], &PyTuple_Type)) {
        PyErr_SetString(
            PyExc_TypeError, "outline(data: bytes, depth: int, max_depth: int, outline: type[Outline])");
        return NULL;
    }
    long levels = PyLong_AsLong(args[1]);
    if (levels < 0 || levels > MAX_LEVELS) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "levels out of range");
        return NULL;
    }
    Outliner o = {.outline = args[3], .utf8 = PyUnicode_FromString("utf-8")};
    PyObject *found = NULL;
    Py_ssize_t position;
    if (o.utf8 != NULL && !start(&o.scan, args[0], args[2], &position))
        found = outline_item(&o, &position, (int)levels);
    stop(&o.scan);
    Py_XDECREF(o.utf8);
    if (found == NULL && !PyErr_Occurred())
        Py_RETURN_NONE;
    return found;
}
