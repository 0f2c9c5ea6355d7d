/* What items are made of, and the items in which there are no items (serialize/pieces.py, sources.py). */
#include "reader.h"

#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL rinterop_speed_numpy
#define NO_IMPORT_ARRAY
#include <numpy/arrayobject.h>

/* An instance with empty slots, unknown to the garbage collector. */
PyObject *new_value(Kind kind)
{
    PyTypeObject *type = classes[kind].type;
    PyObject *value = PyObject_GC_New(PyObject, type);
    if (value != NULL)
        memset((char *)value + sizeof(PyObject), 0, (size_t)type->tp_basicsize - sizeof(PyObject));
    return value;
}

/* All slots are filled. */
void made(Reader *r, PyObject *value)
{
    if (r->cyclic)
        PyObject_GC_Track(value);
}

PyObject *tuple_of(Reader *r, Py_ssize_t from)
{
    Py_ssize_t count = r->count - from;
    PyObject *tuple = PyTuple_New(count);
    if (tuple == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(tuple, i, r->values[from + i]);
    r->count = from;
    if (!r->cyclic && count)
        PyObject_GC_UnTrack(tuple);
    return tuple;
}

/* The class among attributes, or NULL (borrowed). */
static PyObject *class_of(PyObject *attributes)
{
    PyObject *cells = SLOT(K_PAIRLIST, attributes, CELLS);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(cells); i++) {
        PyObject *cell = PyTuple_GET_ITEM(cells, i);
        PyObject *tag = SLOT(K_CELL, cell, CELL_TAG);
        if (tag == Py_None)
            continue;
        PyObject *name = SLOT(K_SYMBOL, tag, NAME);
        if (PyUnicode_GET_LENGTH(name) == 5 && !PyUnicode_CompareWithASCIIString(name, "class"))
            return SLOT(K_CELL, cell, CELL_VALUE);
    }
    return NULL;
}

static int is_text(PyObject *value)
{
    return IS(K_CHARACTER, value)
        || (IS(K_ALTREP, value) && PyLong_AsLong(SLOT(K_ALTREP, value, TYPE_CODE)) == STR);
}

/* Attributes (NULL, or R's, for none), gp and object bit: Pieces.bits. */
int set_attributed(PyObject *value, Kind kind, uint32_t flags, PyObject *attributes)
{
    PyObject *bit = Py_None, *class = NULL;
    if (attributes == NULL || attributes == null) {
        Py_XDECREF(attributes);
        attributes = Py_NewRef(Py_None);
    } else {
        class = class_of(attributes);
    }
    SLOT(kind, value, ATTRIBUTES) = attributes;
    if (flags & IS_OBJECT) {
        if (class == NULL || !is_text(class))
            return GIVE_UP;
    } else if (class != NULL) {
        bit = Py_False;
    }
    SLOT(kind, value, OBJECT_BIT) = Py_NewRef(bit);
    PyObject *gp = PyLong_FromLong(flags >> GP_SHIFT & 0xFFFF);
    SLOT(kind, value, GP) = gp;
    return gp == NULL ? GIVE_UP : 0;
}

/* The next entry of the reference table; a new reference is taken. */
int remember(Reader *r, PyObject *value)
{
    if (grow(&r->references, &r->reference_capacity, r->known_references, sizeof *r->references))
        return GIVE_UP;
    r->references[r->known_references++] = Py_NewRef(value);
    return 0;
}

/* A length; that many elements of at least `width` bytes may follow. */
int length(Reader *r, Py_ssize_t width, Py_ssize_t *count)
{
    uint32_t low, high = 0;
    if (word(r, &low))
        return GIVE_UP;
    if (low > 0x7FFFFFFFu && (low != 0xFFFFFFFFu || word(r, &high) || word(r, &low) || high > 65536))
        return GIVE_UP;
    uint64_t announced = (uint64_t)high << 32 | low;
    if (announced > (uint64_t)(r->end - r->at) / (uint64_t)width)
        return GIVE_UP;
    *count = (Py_ssize_t)announced;
    return 0;
}

/* -- strings */

/* The places of short strings seen before, by their bytes. */
static PyObject **text_place(Reader *r, const uint8_t *text, size_t size)
{
    uint64_t first = size, last = 0;
    if (size >= 8) {
        memcpy(&first, text, 8);
        memcpy(&last, text + size - 8, 8);
    } else {
        memcpy(&last, text, size);
    }
    uint64_t hash = (first * 0x9E3779B97F4A7C15u ^ last) * 0xC2B2AE3D27D4EB4Fu;
    return &r->texts[hash >> 56];
}

static PyObject *shared_text(Reader *r, const uint8_t *text, Py_ssize_t size, Py_ssize_t *misses)
{
    PyObject **place = text_place(r, text, (size_t)size);
    PyObject *known = *place;
    if (known != NULL && PyUnicode_GET_LENGTH(known) == size
        && !memcmp(PyUnicode_1BYTE_DATA(known), text, (size_t)size)) {
        --*misses;
        return Py_NewRef(known);
    }
    ++*misses;
    PyObject *found = ascii_text(text, size);
    if (found != NULL)
        Py_XSETREF(*place, Py_NewRef(found));
    return found;
}

/* What follows a CHAR's flags. `misses` counts how much oftener strings were new than known: where they are
 * all different, looking for equal ones is soon given up. */
static inline PyObject *char_after(Reader *r, uint32_t flags, Py_ssize_t *misses)
{
    uint32_t size;
    if ((flags & 0xFF) != CHAR || flags & CHAR_BITS || word(r, &size))
        return NULL;
    if (size == 0xFFFFFFFFu)
        return Py_NewRef(na);
    if (size > (uint64_t)(r->end - r->at) || size > 0x7FFFFFFFu)
        return NULL;
    const uint8_t *text = r->at;
    int what = classify(text, size);
    if (what == NUL_INSIDE)
        return NULL;
    r->at += size;
    uint32_t gp = flags >> GP_SHIFT & MARKS;
    if (gp == ASCII_BIT && what == ASCII_TEXT && size <= LONGEST_SHARED_TEXT && *misses < 200)
        return shared_text(r, text, size, misses);
    return new_text(text, size, gp, what, r->native);
}

PyObject *char_body(Reader *r, uint32_t flags)
{
    Py_ssize_t misses = 0;
    return char_after(r, flags, &misses);
}

PyObject *strings(Reader *r, Py_ssize_t count)
{
    if (count > (r->end - r->at) / 8)
        return NULL;
    PyObject *tuple = PyTuple_New(count);
    if (tuple == NULL)
        return NULL;
    Py_ssize_t misses = 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        uint32_t flags;
        PyObject *text = word(r, &flags) ? NULL : char_after(r, flags, &misses);
        if (text == NULL) {
            Py_DECREF(tuple);
            return NULL;
        }
        PyTuple_SET_ITEM(tuple, i, text);
    }
    if (count)
        PyObject_GC_UnTrack(tuple); /* strings close no cycles */
    return tuple;
}

/* -- vectors of numbers */

static int numpy_type(int code)
{
    return code == REAL ? NPY_FLOAT64 : code == CPLX ? NPY_COMPLEX128 : NPY_INT32;
}

/* Read-only, in native order; a view of the input if that is in native order, too. */
PyObject *array(Reader *r, int code, Py_ssize_t count)
{
    npy_intp shape = count;
    int width = code == REAL ? 8 : code == CPLX ? 16 : 4;
    PyObject *found;
    if (foreign(r->little)) {
        found = PyArray_SimpleNew(1, &shape, numpy_type(code));
        if (found == NULL)
            return NULL;
        copy_numbers(
            PyArray_DATA((PyArrayObject *)found), r->at, (size_t)(count * width), width == 4 ? 4 : 8, 1);
        PyArray_CLEARFLAGS((PyArrayObject *)found, NPY_ARRAY_WRITEABLE);
    } else {
        found = PyArray_New(&PyArray_Type, 1, &shape, numpy_type(code), NULL, (void *)r->at, 0, 0, NULL);
        if (found == NULL || PyArray_SetBaseObject((PyArrayObject *)found, Py_NewRef(r->owner))) {
            Py_XDECREF(found);
            return NULL;
        }
        PyArray_UpdateFlags(
            (PyArrayObject *)found, NPY_ARRAY_ALIGNED | NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS);
    }
    r->at += count * width;
    return found;
}

/* -- symbols, and what is known by name */

/* A symbol whose flags word was just read; a borrowed reference, the table has it. */
PyObject *new_symbol(Reader *r)
{
    uint32_t flags;
    if (word(r, &flags) || r->end - r->at < 4)
        return NULL;
    uint32_t size = load32(r->at, r->little);
    if (size == 0 || size > MAX_SYMBOL)
        return NULL;
    PyObject *name = char_body(r, flags);
    PyObject *found = name == NULL ? NULL : new_value(K_SYMBOL);
    if (found == NULL) {
        Py_XDECREF(name);
        return NULL;
    }
    SLOT(K_SYMBOL, found, NAME) = name;
    int failed = remember(r, found);
    Py_DECREF(found);
    return failed ? NULL : found;
}

PyObject *reference(Reader *r, uint32_t flags)
{
    uint32_t index = flags >> 8;
    if (index == 0 && word(r, &index))
        return NULL;
    return index == 0 || index > (uint64_t)r->known_references ? NULL : r->references[index - 1];
}

/* Where only a symbol may stand; borrowed. */
PyObject *symbol(Reader *r)
{
    uint32_t flags;
    if (flags_word(r, &flags))
        return NULL;
    if (flags == SYM)
        return new_symbol(r);
    PyObject *found = (flags & 0xFF) == REF ? reference(r, flags) : NULL;
    return found != NULL && IS(K_SYMBOL, found) ? found : NULL;
}

PyObject *builtin(Reader *r, uint32_t flags)
{
    uint32_t size;
    if (word(r, &size) || flags & (HAS_ATTRIBUTES | IS_OBJECT) || size == 0 || size > MAX_BUILTIN
        || size > (uint64_t)(r->end - r->at) || classify(r->at, size) != ASCII_TEXT)
        return NULL;
    PyObject *found = new_value(K_BUILTIN);
    if (found == NULL)
        return NULL;
    SLOT(K_BUILTIN, found, BUILTIN_NAME) = ascii_text(r->at, size);
    SLOT(K_BUILTIN, found, BUILTIN_SPECIAL) = PyBool_FromLong((flags & 0xFF) == SPECIAL);
    SLOT(K_BUILTIN, found, BUILTIN_GP) = PyLong_FromLong(flags >> GP_SHIFT);
    r->at += size;
    if (SLOT(K_BUILTIN, found, BUILTIN_NAME) == NULL || SLOT(K_BUILTIN, found, BUILTIN_GP) == NULL)
        Py_CLEAR(found);
    return found;
}

PyObject *named_reference(Reader *r, uint32_t flags)
{
    uint32_t count;
    if (expect(r, 0) || word(r, &count) || count > 0x7FFFFFFFu)
        return NULL;
    Kind kind = flags == NAMESPACE ? K_NAMESPACE : flags == PACKAGE ? K_PACKAGE : K_PERSISTENT;
    PyObject *texts = strings(r, count);
    PyObject *found = texts == NULL ? NULL : new_value(kind);
    if (found == NULL) {
        Py_XDECREF(texts);
        return NULL;
    }
    SLOT(kind, found, NAME) = texts;
    if (remember(r, found))
        Py_CLEAR(found);
    return found;
}
