/* Strings, numbers and small tools: nothing here knows of items. */
#include "speed.h"

#include <math.h>

int classify(const uint8_t *text, size_t size)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t high = 0, nul = 0;
    while (size >= 8) {
        uint64_t eight;
        memcpy(&eight, text, 8);
        high |= eight;
        nul |= (eight - ones) & ~eight & tops;
        text += 8;
        size -= 8;
    }
    for (; size; size--, text++) {
        high |= *text;
        nul |= *text == 0;
    }
    return nul ? NUL_INSIDE : high & tops ? OTHER_TEXT : ASCII_TEXT;
}

PyObject *ascii_text(const uint8_t *text, Py_ssize_t size)
{
    PyObject *made = PyUnicode_New(size, 127);
    if (made != NULL && size)
        memcpy(PyUnicode_1BYTE_DATA(made), text, size);
    return made;
}

PyObject *new_text(const uint8_t *text, Py_ssize_t size, uint32_t gp, int what, PyObject *native)
{
    gp &= MARKS;
    if (gp == ASCII_BIT && what == ASCII_TEXT)
        return ascii_text(text, size);
    if (gp == UTF8_BIT && what == OTHER_TEXT) {
        PyObject *made = PyUnicode_DecodeUTF8((const char *)text, size, NULL);
        if (made != NULL || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return made;
        PyErr_Clear();
    }
    return PyObject_CallFunction(rtext, "y#kO", (const char *)text, size, (unsigned long)gp, native);
}

void copy_numbers(uint8_t *to, const uint8_t *from, size_t size, int width, int swap)
{
    if (!swap) {
        memcpy(to, from, size);
    } else if (width == 4) {
        for (size_t i = 0; i < size; i += 4) {
            uint32_t bits;
            memcpy(&bits, from + i, 4);
            bits = __builtin_bswap32(bits);
            memcpy(to + i, &bits, 4);
        }
    } else {
        for (size_t i = 0; i < size; i += 8) {
            uint64_t bits;
            memcpy(&bits, from + i, 8);
            bits = __builtin_bswap64(bits);
            memcpy(to + i, &bits, 8);
        }
    }
}

int sequence_is_sound(int is_integer, double length, double first, double step)
{
    if (!(isfinite(length) && length >= 0 && length == floor(length) && length <= 4503599627370496.0))
        return 0;
    if ((step != 1 && step != -1) || !isfinite(first))
        return 0;
    if (!is_integer)
        return 1;
    double last = first + step * (length > 1 ? length - 1 : 0);
    return first == floor(first) && fabs(first) < 2147483648.0 && fabs(last) < 2147483648.0;
}

int grow(void *array, Py_ssize_t *capacity, Py_ssize_t count, size_t width)
{
    if (count < *capacity)
        return 0;
    Py_ssize_t wanted = *capacity ? *capacity * 2 : 32;
    void *moved = PyMem_Realloc(*(void **)array, (size_t)wanted * width);
    if (moved == NULL) {
        PyErr_NoMemory();
        return GIVE_UP;
    }
    *(void **)array = moved;
    *capacity = wanted;
    return 0;
}

static uint64_t pair_key(uint32_t item, uint32_t index)
{
    return ((uint64_t)(item + 1) << 32) | index;
}

static Py_ssize_t pair_place(const PairSet *set, uint64_t key)
{
    size_t mask = (size_t)set->capacity - 1;
    size_t place = (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
    while (set->keys[place] && set->keys[place] != key)
        place = (place + 1) & mask;
    return (Py_ssize_t)place;
}

int pair_set_has(const PairSet *set, uint32_t item, uint32_t index)
{
    return set->capacity && set->keys[pair_place(set, pair_key(item, index))];
}

int pair_set_add(PairSet *set, uint32_t item, uint32_t index)
{
    if (set->count * 2 >= set->capacity) {
        PairSet larger = {NULL, set->count, set->capacity ? set->capacity * 2 : 32};
        larger.keys = PyMem_Calloc((size_t)larger.capacity, sizeof *larger.keys);
        if (larger.keys == NULL) {
            PyErr_NoMemory();
            return GIVE_UP;
        }
        for (Py_ssize_t i = 0; i < set->capacity; i++)
            if (set->keys[i])
                larger.keys[pair_place(&larger, set->keys[i])] = set->keys[i];
        PyMem_Free(set->keys);
        *set = larger;
    }
    uint64_t key = pair_key(item, index);
    Py_ssize_t place = pair_place(set, key);
    set->count += !set->keys[place];
    set->keys[place] = key;
    return 0;
}

int read_header(const uint8_t *data, Py_ssize_t size, Py_ssize_t *position, int *little, PyObject **native)
{
    static const char *const utf8 = "utf-8";
    if (size < 14 || data[1] != '\n' || (data[0] != 'X' && data[0] != 'B'))
        return GIVE_UP;
    *little = data[0] == 'B';
    uint32_t version = load32(data + 2, *little), length;
    *position = 14;
    if (version == 2) {
        *native = PyUnicode_FromString(utf8);
        return *native == NULL ? GIVE_UP : 0;
    }
    if (version != 3 || size < 18 || (length = load32(data + 14, *little)) > 63 || length > size - 18)
        return GIVE_UP;
    *position = 18 + length;
    if (length == 5 && !memcmp(data + 18, "UTF-8", 5)) {
        *native = PyUnicode_FromString(utf8);
        return *native == NULL ? GIVE_UP : 0;
    }
    /* As Header.codec: only names of the list reach Python's codecs. */
    PyObject *name = PyUnicode_DecodeLatin1((const char *)data + 18, length, NULL);
    PyObject *lower = name == NULL ? NULL : PyObject_CallMethod(name, "lower", NULL);
    Py_XDECREF(name);
    if (lower == NULL)
        return GIVE_UP;
    PyObject *codec = PyDict_GetItemWithError(native_codecs, lower);
    Py_DECREF(lower);
    if (codec == NULL && PyErr_Occurred())
        return GIVE_UP;
    *native = codec == NULL ? PyUnicode_FromString(utf8) : Py_NewRef(codec);
    return *native == NULL ? GIVE_UP : 0;
}
