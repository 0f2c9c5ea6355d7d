/* Where written bytes go; strings, symbols and the reference table. */
#include "writer.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { HUGE_SIZE = 1 << 22 };

/* Fresh memory costs a page fault for each page, and that much more than writing to it. */
static void ask_for_large_pages(uint8_t *bytes, size_t size)
{
#if defined(MADV_HUGEPAGE)
    if (size >= HUGE_SIZE) {
        uintptr_t start = ((uintptr_t)bytes + 4095) & ~(uintptr_t)4095;
        madvise((void *)start, (size_t)((uintptr_t)bytes + size - start), MADV_HUGEPAGE);
    }
#endif
}

int room_for(Writer *w, size_t size)
{
    if (size <= w->capacity - w->size)
        return 0;
    if (size > (size_t)PY_SSIZE_T_MAX / 2 - w->size) {
        PyErr_NoMemory();
        return GIVE_UP;
    }
    size_t wanted = w->size + size + 1024;
    if (wanted < w->capacity + w->capacity / 2)
        wanted = w->capacity + w->capacity / 2;
    if (w->large == NULL) {
        w->large = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)wanted);
        if (w->large != NULL)
            memcpy(PyBytes_AS_STRING(w->large), w->small, w->size);
    } else {
        _PyBytes_Resize(&w->large, (Py_ssize_t)wanted);
    }
    if (w->large == NULL)
        return GIVE_UP;
    w->bytes = (uint8_t *)PyBytes_AS_STRING(w->large);
    w->capacity = wanted;
    ask_for_large_pages(w->bytes + w->size, wanted - w->size);
    return 0;
}

PyObject *output(Writer *w)
{
    if (w->large == NULL)
        return PyBytes_FromStringAndSize((const char *)w->small, (Py_ssize_t)w->size);
    PyObject *found = w->large;
    w->large = NULL;
    _PyBytes_Resize(&found, (Py_ssize_t)w->size);
    return found;
}

void release(Writer *w)
{
    Py_XDECREF(w->large);
    PyMem_Free(w->todo);
    PyMem_Free(w->entries);
}

/* -- strings */

static int put_char(Writer *w, uint32_t gp, const uint8_t *text, size_t size)
{
    if (size > 0x7FFFFFFF || room_for(w, size + 8))
        return GIVE_UP;
    put_word(w, CHAR | gp << GP_SHIFT);
    put_word(w, (uint32_t)size);
    put_bytes(w, text, size);
    return 0;
}

/* Text beyond ASCII, as UTF-8 straight into the output. Python's own encoder would leave a copy in the str.
 */
static int put_unicode(Writer *w, PyObject *text)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    if (length > 0x7FFFFFFF / 4 || room_for(w, (size_t)length * 4 + 8))
        return GIVE_UP;
    uint8_t *start = w->bytes + w->size + 8, *to = start;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        if (c == 0 || (c >= 0xD800 && c < 0xE000))
            return GIVE_UP;
        if (c < 0x80) {
            *to++ = (uint8_t)c;
        } else if (c < 0x800) {
            *to++ = (uint8_t)(0xC0 | c >> 6);
            *to++ = (uint8_t)(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            *to++ = (uint8_t)(0xE0 | c >> 12);
            *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            *to++ = (uint8_t)(0x80 | (c & 0x3F));
        } else {
            *to++ = (uint8_t)(0xF0 | c >> 18);
            *to++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
            *to++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
            *to++ = (uint8_t)(0x80 | (c & 0x3F));
        }
    }
    put_word(w, CHAR | UTF8_BIT << GP_SHIFT);
    put_word(w, (uint32_t)(to - start));
    w->size += (size_t)(to - start);
    return 0;
}

/* A string with the bytes and the mark that it had in R. */
static int put_rtext(Writer *w, PyObject *text)
{
    PyObject *raw = SLOT(K_RTEXT, text, TEXT_RAW), *gp = SLOT(K_RTEXT, text, TEXT_GP);
    if (raw == NULL || gp == NULL || !PyBytes_CheckExact(raw) || !PyLong_CheckExact(gp))
        return GIVE_UP;
    const uint8_t *bytes = (const uint8_t *)PyBytes_AS_STRING(raw);
    size_t size = (size_t)PyBytes_GET_SIZE(raw);
    long bits = PyLong_AsLong(gp);
    if (bits < 0 || bits > 0xFFFF || memchr(bytes, 0, size) != NULL) {
        PyErr_Clear();
        return GIVE_UP;
    }
    return put_char(w, (uint32_t)bits, bytes, size);
}

int write_char(Writer *w, PyObject *text)
{
    if (PyUnicode_CheckExact(text)) {
        if (!is_ready(text))
            return GIVE_UP;
        if (!PyUnicode_IS_ASCII(text))
            return put_unicode(w, text);
        const uint8_t *bytes = PyUnicode_1BYTE_DATA(text);
        size_t size = (size_t)PyUnicode_GET_LENGTH(text);
        return memchr(bytes, 0, size) != NULL ? GIVE_UP : put_char(w, ASCII_BIT, bytes, size);
    }
    if (text == na) {
        if (room_for(w, 8))
            return GIVE_UP;
        put_word(w, CHAR);
        put_word(w, 0xFFFFFFFFu);
        return 0;
    }
    return IS(K_RTEXT, text) ? put_rtext(w, text) : GIVE_UP;
}

int write_strings(Writer *w, PyObject *tuple)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); i++)
        if (write_char(w, PyTuple_GET_ITEM(tuple, i)))
            return GIVE_UP;
    return 0;
}

/* -- the reference table */

static int more_entries(Writer *w)
{
    if (w->entry_count * 2 < w->entry_capacity)
        return 0;
    Py_ssize_t capacity = w->entry_capacity ? w->entry_capacity * 4 : 64;
    Entry *larger = PyMem_Calloc((size_t)capacity, sizeof *larger);
    if (larger == NULL) {
        PyErr_NoMemory();
        return GIVE_UP;
    }
    for (Py_ssize_t i = 0; i < w->entry_capacity; i++) {
        if (!w->entries[i].index)
            continue;
        size_t place = w->entries[i].hash & (size_t)(capacity - 1);
        while (larger[place].index)
            place = (place + 1) & (size_t)(capacity - 1);
        larger[place] = w->entries[i];
    }
    PyMem_Free(w->entries);
    w->entries = larger;
    w->entry_capacity = capacity;
    return 0;
}

/* The entry like `wanted`, or the free place for it. */
static Entry *find(Writer *w, const Entry *wanted)
{
    size_t place = wanted->hash & (size_t)(w->entry_capacity - 1);
    for (;; place = (place + 1) & (size_t)(w->entry_capacity - 1)) {
        Entry *entry = &w->entries[place];
        if (!entry->index)
            return entry;
        if (entry->hash != wanted->hash || entry->object != wanted->object || entry->size != wanted->size)
            continue;
        if (wanted->object != NULL || !memcmp(w->bytes + entry->name, w->bytes + wanted->name, wanted->size))
            return entry;
    }
}

static void write_reference(Writer *w, uint32_t index)
{
    if (index <= (1u << 23) - 1) {
        put_word(w, index << 8 | REF);
    } else {
        put_word(w, REF);
        put_word(w, index);
    }
}

int enter(Writer *w, PyObject *object)
{
    if (room_for(w, 8) || more_entries(w))
        return GIVE_UP;
    uint64_t hash = ((uintptr_t)object >> 4) * 0x9E3779B97F4A7C15u;
    Entry wanted = {.hash = hash ^ hash >> 32, .object = object};
    Entry *entry = find(w, &wanted);
    if (entry->index) {
        write_reference(w, entry->index);
        return 0;
    }
    wanted.index = ++w->references;
    *entry = wanted;
    w->entry_count++;
    return 1;
}

int write_new_entry(Writer *w)
{
    return ++w->references ? 0 : GIVE_UP;
}

/* Symbols are equal if their bytes and marks are: the name is written, and taken back if it was there. */
int write_symbol(Writer *w, PyObject *symbol)
{
    size_t place = address_place(symbol);
    if (room_for(w, 8))
        return GIVE_UP;
    if (w->symbols[place].symbol == symbol) {
        write_reference(w, w->symbols[place].index);
        return 0;
    }
    size_t start = w->size;
    put_word(w, SYM);
    if (write_char(w, SLOT(K_SYMBOL, symbol, NAME)) || more_entries(w))
        return GIVE_UP;
    Entry wanted = {.hash = 0xCBF29CE484222325u, .name = start + 4, .size = w->size - start - 4};
    for (size_t i = wanted.name; i < w->size; i++)
        wanted.hash = (wanted.hash ^ w->bytes[i]) * 0x100000001B3u;
    wanted.hash ^= wanted.hash >> 32;
    Entry *entry = find(w, &wanted);
    if (entry->index) {
        w->size = start;
        write_reference(w, entry->index);
    } else {
        wanted.index = ++w->references;
        *entry = wanted;
        w->entry_count++;
    }
    w->symbols[place].symbol = symbol;
    w->symbols[place].index = entry->index;
    return 0;
}
