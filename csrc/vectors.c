/* Writing flags, attributes and vectors. */
#include "writer.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL rinterop_speed_numpy
#define NO_IMPORT_ARRAY
#include <numpy/arrayobject.h>

int later(Writer *w, Work work, PyObject *value)
{
    if (value == NULL || grow(&w->todo, &w->capacity_todo, w->count, sizeof *w->todo))
        return GIVE_UP;
    w->todo[w->count++] = (Pending){work, value, 0};
    return 0;
}

int later_if_any(Writer *w, PyObject *value)
{
    return value == Py_None ? 0 : later(w, P_VALUE, value);
}

int small_number(PyObject *number, long most, uint32_t *bits)
{
    if (number == NULL || !PyLong_CheckExact(number))
        return GIVE_UP;
    long value = PyLong_AsLong(number);
    if (value < 0 || value > most) {
        PyErr_Clear();
        return GIVE_UP;
    }
    *bits = (uint32_t)value;
    return 0;
}

static int has_class(PyObject *attributes)
{
    if (attributes == Py_None)
        return 0;
    PyObject *cells = IS(K_PAIRLIST, attributes) ? SLOT(K_PAIRLIST, attributes, CELLS) : NULL;
    if (cells == NULL || !PyTuple_CheckExact(cells))
        return GIVE_UP;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i), *tag, *name;
        if (!IS(K_CELL, cell) || (tag = SLOT(K_CELL, cell, CELL_TAG)) == NULL)
            return GIVE_UP;
        if (tag == Py_None)
            continue;
        if (!IS(K_SYMBOL, tag) || (name = SLOT(K_SYMBOL, tag, NAME)) == NULL || !PyUnicode_Check(name))
            return GIVE_UP;
        if (PyUnicode_GET_LENGTH(name) == 5 && !PyUnicode_CompareWithASCIIString(name, "class"))
            return 1;
    }
    return 0;
}

int put_flags(Writer *w, uint32_t code, Kind kind, PyObject *value, int tag)
{
    PyObject *attributes = SLOT(kind, value, ATTRIBUTES), *bit = SLOT(kind, value, OBJECT_BIT);
    uint32_t gp;
    if (attributes == NULL || small_number(SLOT(kind, value, GP), 0xFFFF, &gp) || room_for(w, 20))
        return GIVE_UP;
    int is_object = bit == Py_None ? has_class(attributes)
        : bit == Py_True           ? 1
        : bit == Py_False          ? 0
                                   : GIVE_UP;
    if (is_object < 0)
        return GIVE_UP;
    int shown = attributes != Py_None && code != ALTREP;
    put_word(w,
        code | gp << GP_SHIFT | (is_object ? IS_OBJECT : 0) | (shown ? HAS_ATTRIBUTES : 0)
            | (tag ? HAS_TAG : 0));
    return 0;
}

static void put_length(Writer *w, Py_ssize_t length)
{
    if (length <= 0x7FFFFFFF) {
        put_word(w, (uint32_t)length);
    } else {
        put_word(w, 0xFFFFFFFFu);
        put_word(w, (uint32_t)((uint64_t)length >> 32));
        put_word(w, (uint32_t)length);
    }
}

/* -- attributes */

/* Whether a value is written at once, leaving nothing for later and nothing in the reference table. */
static int is_plain(PyObject *value)
{
    Kind kind = kind_of(value);
    return kind >= K_LOGICAL && kind <= K_CHARACTER && SLOT(kind, value, ATTRIBUTES) == Py_None;
}

/* Attributes that are all tagged, known symbols with plain values. 1: written and kept in mind, for the lists
 * of a list mostly share them; 0: not of that kind, nothing is written. */
static int write_plain_attributes(Writer *w, PyObject *attributes)
{
    if (!IS(K_PAIRLIST, attributes) || SLOT(K_PAIRLIST, attributes, END) != null)
        return 0;
    PyObject *cells = SLOT(K_PAIRLIST, attributes, CELLS);
    if (cells == NULL || !PyTuple_CheckExact(cells) || PyTuple_GET_SIZE(cells) == 0)
        return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        if (!IS(K_CELL, cell) || SLOT(K_CELL, cell, ATTRIBUTES) != Py_None
            || SLOT(K_CELL, cell, CELL_IS_CALL) != Py_False || SLOT(K_CELL, cell, CELL_TAG) == NULL
            || !IS(K_SYMBOL, SLOT(K_CELL, cell, CELL_TAG)) || SLOT(K_CELL, cell, CELL_VALUE) == NULL
            || !is_plain(SLOT(K_CELL, cell, CELL_VALUE)))
            return 0;
    }
    size_t start = w->size;
    uint32_t references = w->references;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        if (put_flags(w, LIST, K_CELL, cell, 1) || write_symbol(w, SLOT(K_CELL, cell, CELL_TAG))
            || write_item(w, SLOT(K_CELL, cell, CELL_VALUE)))
            return GIVE_UP;
    }
    if (room_for(w, 4))
        return GIVE_UP;
    put_word(w, NIL);
    if (references == w->references) {
        size_t place = address_place(attributes);
        w->known[place].attributes = attributes;
        w->known[place].start = start;
        w->known[place].size = w->size - start;
    }
    return 1;
}

int write_attributes(Writer *w, PyObject *attributes)
{
    if (attributes == Py_None)
        return 0;
    size_t place = address_place(attributes);
    if (w->known[place].attributes == attributes) {
        size_t start = w->known[place].start, size = w->known[place].size;
        if (room_for(w, size))
            return GIVE_UP;
        put_bytes(w, w->bytes + start, size);
        return 0;
    }
    int written = write_plain_attributes(w, attributes);
    return written < 0 ? GIVE_UP : written ? 0 : later(w, P_VALUE, attributes);
}

/* -- vectors */

/* The numbers of a one-dimensional native array of a known type; anything else is left to NumPy. */
int write_numbers(Writer *w, Kind kind, PyObject *value)
{
    static const struct {
        uint32_t code;
        char letter;
        int width;
    } types[] = {
        [K_LOGICAL - K_LOGICAL] = {LGL, 'i', 4},
        [K_INTEGER - K_LOGICAL] = {INT, 'i', 4},
        [K_DOUBLE - K_LOGICAL] = {REAL, 'f', 8},
        [K_COMPLEX - K_LOGICAL] = {CPLX, 'c', 16},
    };
    PyObject *values = SLOT(kind, value, VALUES);
    if (values == NULL || !PyArray_CheckExact(values))
        return GIVE_UP;
    PyArrayObject *array = (PyArrayObject *)values;
    PyArray_Descr *type = PyArray_DESCR(array);
    int width = types[kind - K_LOGICAL].width;
    if (PyArray_NDIM(array) != 1 || !PyArray_IS_C_CONTIGUOUS(array)
        || type->kind != types[kind - K_LOGICAL].letter || PyArray_ITEMSIZE(array) != width
        || !PyArray_ISNBO(type->byteorder))
        return GIVE_UP;
    size_t size = (size_t)PyArray_DIM(array, 0) * (size_t)width;
    if (put_flags(w, types[kind - K_LOGICAL].code, kind, value, 0))
        return GIVE_UP;
    put_length(w, PyArray_DIM(array, 0));
    if (room_for(w, size))
        return GIVE_UP;
    copy_numbers(w->bytes + w->size, PyArray_DATA(array), size, width == 4 ? 4 : 8, foreign(w->little));
    w->size += size;
    return write_attributes(w, SLOT(kind, value, ATTRIBUTES));
}

int write_raw(Writer *w, PyObject *value)
{
    PyObject *bytes = SLOT(K_RAW, value, VALUES);
    if (bytes == NULL || !PyBytes_CheckExact(bytes) || put_flags(w, RAW, K_RAW, value, 0))
        return GIVE_UP;
    put_length(w, PyBytes_GET_SIZE(bytes));
    if (room_for(w, (size_t)PyBytes_GET_SIZE(bytes)))
        return GIVE_UP;
    put_bytes(w, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return write_attributes(w, SLOT(K_RAW, value, ATTRIBUTES));
}

PyObject *tuple_in(Kind kind, PyObject *value, int index)
{
    PyObject *tuple = SLOT(kind, value, index);
    return tuple != NULL && PyTuple_CheckExact(tuple) ? tuple : NULL;
}

int write_character(Writer *w, PyObject *value)
{
    PyObject *texts = tuple_in(K_CHARACTER, value, VALUES);
    if (texts == NULL || put_flags(w, STR, K_CHARACTER, value, 0))
        return GIVE_UP;
    put_length(w, PyTuple_GET_SIZE(texts));
    return write_strings(w, texts) ? GIVE_UP : write_attributes(w, SLOT(K_CHARACTER, value, ATTRIBUTES));
}

int write_list(Writer *w, Kind kind, PyObject *value, Work elements)
{
    PyObject *values = tuple_in(kind, value, VALUES);
    if (values == NULL || put_flags(w, kind == K_LIST ? VEC : EXPR, kind, value, 0))
        return GIVE_UP;
    put_length(w, PyTuple_GET_SIZE(values));
    /* The elements, and after the last one the attributes. */
    return later(w, elements, value);
}
