/* Functions, environments, and what else may be part of a cycle: serialize/reader.py, from _closure on. */
#include "reader.h"

/* -- closures and promises: [attributes] [environment] and two items */

static int is_environment(PyObject *value)
{
    return value == null || IS(K_ENVIRONMENT, value) || IS(K_ENVIRONMENT_MARKER, value)
        || IS(K_NAMESPACE, value) || IS(K_PACKAGE, value) || IS(K_PERSISTENT, value);
}

static int function_end(Reader *r)
{
    Frame *frame = top(r);
    PyObject *found = new_value(frame->kind);
    if (found == NULL)
        return GIVE_UP;
    SLOT(frame->kind, found, BODY) = pop(r); /* or EXPRESSION: the slots are in the same order */
    SLOT(frame->kind, found, FORMALS) = pop(r);
    SLOT(frame->kind, found, ENCLOSURE) = frame->flags & HAS_TAG ? pop(r) : Py_NewRef(Py_None);
    if (set_attributed(found, frame->kind, frame->flags, frame->flags & HAS_ATTRIBUTES ? pop(r) : NULL)) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return finish(r, found);
}

int function_step(Reader *r)
{
    Frame *frame = top(r);
    switch (frame->state++) {
    case 0:
        if (frame->flags & HAS_ATTRIBUTES)
            return chain_or_null(r, 1);
        frame->state = 2; /* fall through */
    case 1:
        frame->state = 2;
        if (frame->flags & HAS_TAG)
            return item(r);
        frame->state = 3; /* fall through */
    case 2:
        if (frame->flags & HAS_TAG && !is_environment(r->values[r->count - 1]))
            return GIVE_UP;
        frame->state = 3;
        return frame->kind == K_CLOSURE ? chain_or_null(r, 0) : item(r);
    case 3:
        return item(r);
    default:
        return function_end(r);
    }
}

/* -- environments, which are known before they are whole, as are pointers */

static void set_slot(Kind kind, PyObject *value, int index, PyObject *part)
{
    PyObject *old = SLOT(kind, value, index);
    SLOT(kind, value, index) = part;
    Py_XDECREF(old);
}

/* An object that may come to contain itself: with these values in its slots, tracked, and in the table. */
static PyObject *changeable(Reader *r, Kind kind, PyObject *const *defaults, int count)
{
    PyObject *found = new_value(kind);
    if (found == NULL)
        return NULL;
    for (int i = 0; i < count; i++)
        SLOT(kind, found, i) = Py_NewRef(defaults[i]);
    PyObject_GC_Track(found);
    r->cyclic = 1;
    if (remember(r, found))
        Py_CLEAR(found);
    return found;
}

int environment(Reader *r, uint32_t flags)
{
    uint32_t locked;
    if (word(r, &locked) || locked > 1)
        return GIVE_UP;
    PyObject *defaults[] = {Py_None, markers[EMPTYENV], null, null, locked ? Py_True : Py_False};
    if (push_frame(r, F_ENVIRONMENT, K_ENVIRONMENT, flags) == NULL)
        return GIVE_UP;
    return push(r, changeable(r, K_ENVIRONMENT, defaults, 5));
}

static int hash_table(Reader *r)
{
    uint32_t flags;
    if (flags_word(r, &flags))
        return GIVE_UP;
    if (flags == NIL)
        return push(r, Py_NewRef(null));
    Frame *frame = flags == VEC ? push_frame(r, F_BUCKETS, K_LIST, VEC) : NULL;
    return frame == NULL || length(r, 4, &frame->left) || frame->left == 0 ? GIVE_UP : 0;
}

int buckets_step(Reader *r)
{
    Frame *frame = top(r);
    if (frame->left > 0) {
        frame->left--;
        return chain_or_null(r, 0);
    }
    return finish(r, vector(r, K_LIST, tuple_of(r, frame->base), VEC, NULL));
}

int environment_step(Reader *r)
{
    Frame *frame = top(r);
    PyObject *made_before = r->values[frame->base];
    switch (frame->state++) {
    case 0:
        return item(r);
    case 1:
        if (!is_environment(r->values[r->count - 1]))
            return GIVE_UP;
        set_slot(K_ENVIRONMENT, made_before, PARENT, pop(r));
        return chain_or_null(r, 0);
    case 2:
        set_slot(K_ENVIRONMENT, made_before, FRAME, pop(r));
        return hash_table(r);
    case 3:
        set_slot(K_ENVIRONMENT, made_before, BUCKETS, pop(r));
        return chain_or_null(r, 1);
    default:
        if (r->values[r->count - 1] == null)
            Py_DECREF(pop(r));
        else
            set_slot(K_ENVIRONMENT, made_before, ENV_ATTRIBUTES, pop(r));
        return finish(r, pop(r));
    }
}

int pointer(Reader *r, uint32_t flags)
{
    PyObject *zero = PyLong_FromLong(0);
    if (zero == NULL || push_frame(r, F_POINTER, K_EXTERNAL_POINTER, flags) == NULL) {
        Py_XDECREF(zero);
        return GIVE_UP;
    }
    PyObject *defaults[] = {Py_None, zero, Py_None, null, null};
    int failed = push(r, changeable(r, K_EXTERNAL_POINTER, defaults, 5));
    Py_DECREF(zero);
    return failed;
}

/* The end of a pointer or weak reference: its attributes, if it has any, are on top. */
static int changeable_end(Reader *r, Frame *frame)
{
    PyObject *attributes = frame->flags & HAS_ATTRIBUTES ? pop(r) : NULL;
    PyObject *value = pop(r);
    for (int i = ATTRIBUTES; i <= OBJECT_BIT; i++)
        Py_CLEAR(SLOT(frame->kind, value, i));
    if (set_attributed(value, frame->kind, frame->flags, attributes)) {
        Py_DECREF(value);
        return GIVE_UP;
    }
    return finish(r, value);
}

int pointer_step(Reader *r)
{
    Frame *frame = top(r);
    PyObject *made_before = r->values[frame->base];
    switch (frame->state++) {
    case 0:
        return protected_item(r);
    case 1:
        set_slot(K_EXTERNAL_POINTER, made_before, PROTECTED, pop(r));
        return item(r);
    case 2:
        set_slot(K_EXTERNAL_POINTER, made_before, POINTER_TAG, pop(r));
        if (frame->flags & HAS_ATTRIBUTES)
            return chain_or_null(r, 1); /* else fall through */
    default:
        return changeable_end(r, frame);
    }
}

/* -- weak references and S4 objects: nothing but attributes */

int bare(Reader *r, uint32_t flags)
{
    Kind kind = (flags & 0xFF) == S4SXP ? K_S4 : K_WEAK_REFERENCE;
    if (push_frame(r, F_BARE, kind, flags) == NULL)
        return GIVE_UP;
    if (kind == K_WEAK_REFERENCE) {
        PyObject *zero = PyLong_FromLong(0);
        PyObject *defaults[] = {Py_None, zero, Py_None};
        int failed = zero == NULL || push(r, changeable(r, kind, defaults, 3));
        Py_XDECREF(zero);
        if (failed)
            return GIVE_UP;
    }
    return flags & HAS_ATTRIBUTES ? chain_or_null(r, 1) : 0;
}

int bare_step(Reader *r)
{
    Frame *frame = top(r);
    if (frame->kind == K_WEAK_REFERENCE)
        return changeable_end(r, frame);
    PyObject *attributes = frame->flags & HAS_ATTRIBUTES ? pop(r) : NULL;
    PyObject *found = new_value(K_S4);
    if (found == NULL || set_attributed(found, K_S4, frame->flags, attributes)) {
        if (found == NULL)
            Py_XDECREF(attributes);
        Py_XDECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return finish(r, found);
}
