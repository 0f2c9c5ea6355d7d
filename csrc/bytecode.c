/* Bytecode: serialize/bytecode.py. */
#include "reader.h"

static int is_call(uint32_t code)
{
    return code == LANG || code == LIST || code == ATTRLANG || code == ATTRLIST;
}

static int code_body(Reader *r)
{
    Py_ssize_t count;
    uint32_t constants;
    if (push_frame(r, F_CODE_BODY, K_CODE_BODY, 0) == NULL || expect(r, INT) || length(r, 4, &count))
        return GIVE_UP;
    PyObject *values = array(r, INT, count);
    PyObject *code = values == NULL ? NULL : new_value(K_INTEGER);
    if (code == NULL) {
        Py_XDECREF(values);
        return GIVE_UP;
    }
    SLOT(K_INTEGER, code, VALUES) = values;
    if (set_attributed(code, K_INTEGER, INT, NULL)) {
        Py_DECREF(code);
        return GIVE_UP;
    }
    if (push(r, code) || word(r, &constants) || constants > (uint64_t)(r->end - r->at) / 4)
        return GIVE_UP;
    top(r)->left = constants;
    return 0;
}

int bytecode(Reader *r, uint32_t flags)
{
    uint32_t shared;
    Frame *frame = push_frame(r, F_BYTECODE, K_BYTECODE, flags);
    if (frame == NULL || word(r, &shared) || shared > (uint64_t)(r->end - r->at))
        return GIVE_UP;
    frame->left = shared;
    frame->outer_item = r->item;
    frame->outer_shared = r->shared;
    r->item = ++r->bytecode_items;
    r->shared = shared;
    return code_body(r);
}

int bytecode_step(Reader *r)
{
    Frame *frame = top(r);
    if (frame->state == 0) {
        frame->state = 1;
        r->item = frame->outer_item;
        r->shared = frame->outer_shared;
        if (frame->flags & HAS_ATTRIBUTES)
            return chain_or_null(r, 1);
    }
    PyObject *found = new_value(K_BYTECODE);
    if (found == NULL)
        return GIVE_UP;
    PyObject *attributes = frame->flags & HAS_ATTRIBUTES ? pop(r) : NULL;
    SLOT(K_BYTECODE, found, CODE_BODY) = pop(r);
    SLOT(K_BYTECODE, found, SHARED_COUNT) = PyLong_FromSsize_t(frame->left);
    if (set_attributed(found, K_BYTECODE, frame->flags, attributes)
        || SLOT(K_BYTECODE, found, SHARED_COUNT) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return finish(r, found);
}

/* A Constant around the value on top. */
static int wrap(Reader *r, uint32_t code)
{
    PyObject *found = new_value(K_CONSTANT);
    if (found == NULL)
        return GIVE_UP;
    SLOT(K_CONSTANT, found, CONSTANT_VALUE) = pop(r);
    SLOT(K_CONSTANT, found, CONSTANT_CODE) = PyLong_FromUnsignedLong(code);
    if (SLOT(K_CONSTANT, found, CONSTANT_CODE) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return push(r, found);
}

/* The index of a shared call. */
static int shared_index(Reader *r, uint32_t *index)
{
    return word(r, index) || *index >= r->shared ? GIVE_UP : 0;
}

static int shared_call(Reader *r)
{
    uint32_t index;
    if (shared_index(r, &index) || !pair_set_has(&r->defined, r->item, index))
        return GIVE_UP;
    PyObject *found = new_value(K_SHARED_CALL);
    if (found == NULL)
        return GIVE_UP;
    SLOT(K_SHARED_CALL, found, NAME) = PyLong_FromUnsignedLong(index);
    if (SLOT(K_SHARED_CALL, found, NAME) == NULL)
        Py_CLEAR(found);
    return push(r, found);
}

enum { NOT_SHARED = -1 };

/* A call or pairlist among the constants, or a leaf of one, of a type code just read. */
static int tree(Reader *r, uint32_t code)
{
    Py_ssize_t shared = NOT_SHARED;
    if (r->depth >= r->max_depth)
        return GIVE_UP;
    if (code == BCREPREF)
        return shared_call(r);
    if (code == BCREPDEF) {
        uint32_t index;
        if (shared_index(r, &index) || pair_set_add(&r->defined, r->item, index) || word(r, &code)
            || !is_call(code))
            return GIVE_UP;
        shared = index;
    }
    Frame *frame = code < 256 ? push_frame(r, is_call(code) ? F_TREE : F_LEAF, K_CALL_TREE, 0) : NULL;
    if (frame == NULL)
        return GIVE_UP;
    frame->code = code;
    frame->left = shared;
    return frame->work == F_LEAF ? item(r) : 0;
}

int leaf_step(Reader *r)
{
    if (wrap(r, top(r)->code))
        return GIVE_UP;
    return finish(r, pop(r));
}

static int next_tree(Reader *r)
{
    uint32_t code;
    return word(r, &code) ? GIVE_UP : tree(r, code);
}

static int tree_end(Reader *r)
{
    Frame *frame = top(r);
    PyObject *found = new_value(K_CALL_TREE);
    if (found == NULL)
        return GIVE_UP;
    SLOT(K_CALL_TREE, found, TREE_CDR) = pop(r);
    SLOT(K_CALL_TREE, found, TREE_CAR) = pop(r);
    SLOT(K_CALL_TREE, found, TREE_TAG) = pop(r);
    SLOT(K_CALL_TREE, found, TREE_ATTRIBUTES) = r->count > frame->base ? pop(r) : Py_NewRef(Py_None);
    SLOT(K_CALL_TREE, found, TREE_CODE) = PyLong_FromUnsignedLong(frame->code);
    SLOT(K_CALL_TREE, found, TREE_SHARED) =
        frame->left == NOT_SHARED ? Py_NewRef(Py_None) : PyLong_FromSsize_t(frame->left);
    if (SLOT(K_CALL_TREE, found, TREE_CODE) == NULL || SLOT(K_CALL_TREE, found, TREE_SHARED) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    made(r, found);
    return finish(r, found);
}

int tree_step(Reader *r)
{
    Frame *frame = top(r);
    switch (frame->state++) {
    case 0:
        if (frame->code == ATTRLANG || frame->code == ATTRLIST)
            return item(r);
        frame->state = 2; /* fall through */
    case 1:
        frame->state = 2;
        return item(r);
    case 2: {
        PyObject *tag = r->values[r->count - 1];
        return tag == null || IS(K_SYMBOL, tag) ? next_tree(r) : GIVE_UP;
    }
    case 3:
        return next_tree(r);
    default:
        return tree_end(r);
    }
}

static int code_body_end(Reader *r)
{
    Frame *frame = top(r);
    PyObject *found = new_value(K_CODE_BODY);
    if (found == NULL)
        return GIVE_UP;
    SLOT(K_CODE_BODY, found, CONSTANTS) = tuple_of(r, frame->base + 1);
    if (SLOT(K_CODE_BODY, found, CONSTANTS) == NULL) {
        Py_DECREF(found);
        return GIVE_UP;
    }
    SLOT(K_CODE_BODY, found, CODE) = pop(r);
    made(r, found);
    return finish(r, found);
}

int code_body_step(Reader *r)
{
    Frame *frame = top(r);
    if (frame->state && !IS(K_CONSTANT, r->values[r->count - 1]) && wrap(r, frame->code))
        return GIVE_UP;
    if (frame->left == 0)
        return code_body_end(r);
    frame->left--;
    frame->state = 1;
    if (word(r, &frame->code))
        return GIVE_UP;
    return frame->code == BCODE ? code_body(r) : tree(r, frame->code);
}
