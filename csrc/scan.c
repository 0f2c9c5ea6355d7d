/* Check items without building them: the automaton of serialize/scan.py, over the same tables. */
#include "scan.h"

/* -- what comes after an item's own words */

static void then(ScanFrame *frame, Place place)
{
    frame->parts[frame->count++] = place;
}

static void then_attributes(ScanFrame *frame, uint32_t flags)
{
    if (flags & HAS_ATTRIBUTES)
        then(frame, flags & IS_OBJECT ? classed : pairlist);
}

/* grammar.py, _parts: attributes and tag as the flags say, then two places. */
static void then_parts(ScanFrame *frame, uint32_t flags, Place tag, Place one, Place other)
{
    then_attributes(frame, flags);
    if (flags & HAS_TAG)
        then(frame, tag);
    then(frame, one);
    then(frame, other);
}

static int then_call_tree(ScanFrame *frame, uint32_t code)
{
    if (code != LIST && code != LANG && code != ATTRLIST && code != ATTRLANG)
        return GIVE_UP;
    if (code == ATTRLIST || code == ATTRLANG)
        then(frame, any_item);
    then(frame, tag_or_null);
    then(frame, tree);
    then(frame, tree);
    return 0;
}

/* Instructions, and the number of constants that follow. */
static int then_constants(Scan *s, Py_ssize_t *position, ScanFrame *frame)
{
    uint64_t instructions;
    uint32_t flags, count;
    if (scan_word(s, position, &flags) || flags != INT || scan_length(s, position, &instructions)
        || instructions > left(s, *position) / 4)
        return GIVE_UP;
    *position += (Py_ssize_t)instructions * 4;
    if (scan_word(s, position, &count) || count > left(s, *position) / 4)
        return GIVE_UP;
    frame->repeated = constant;
    frame->left = count;
    frame->waits = 1;
    return 0;
}

/* -- ALTREP */

/* One untagged cell with a symbol. */
static int info_symbol(Scan *s, Py_ssize_t *position, const Reference **found)
{
    uint32_t flags;
    if (scan_word(s, position, &flags) || flags != LIST || scan_word(s, position, &flags))
        return GIVE_UP;
    if ((flags & 0xFF) == REF) {
        *found = scan_reference(s, position, flags);
        return *found == NULL || (*found)->name < 0 ? GIVE_UP : 0;
    }
    if (scan_symbol(s, position, flags))
        return GIVE_UP;
    *found = &s->references[s->known - 1];
    return 0;
}

static int sound_sequence(const Scan *s, Py_ssize_t *position, uint32_t type_code)
{
    uint32_t flags, count;
    double triple[3];
    if (scan_flags(s, position, &flags) || flags != REAL || scan_word(s, position, &count) || count != 3
        || left(s, *position) < sizeof triple)
        return 0;
    copy_numbers((uint8_t *)triple, s->data + *position, sizeof triple, 8, foreign(s->little));
    *position += sizeof triple;
    return sequence_is_sound(type_code == INT, triple[0], triple[1], triple[2]);
}

int compact(Scan *s, Py_ssize_t *position, uint32_t flags, Place place, ScanFrame *rest)
{
    static const struct {
        const char *name;
        uint32_t code;
    } wrappers[] = {
#define ENTRY(name, code) {name, code},
        EACH_WRAPPER(ENTRY)
#undef ENTRY
    };
    const Reference *found;
    uint32_t info[5];
    if (info_symbol(s, position, &found))
        return GIVE_UP;
    Reference name = *found; /* the next symbol may move the table */
    if (info_symbol(s, position, &found))
        return GIVE_UP;
    Reference package = *found;
    for (int i = 0; i < 5; i++)
        if (scan_word(s, position, &info[i]))
            return GIVE_UP;
    uint32_t code = info[3];
    int is_vector = code == LGL || code == INT || code == REAL || code == CPLX || code == STR || code == VEC
        || code == EXPR || code == RAW;
    if (info[0] != LIST || info[1] != INT || info[2] != 1 || info[4] != NIL || !is_vector || !place[code])
        return GIVE_UP;
    Place last = flags & IS_OBJECT ? classed : pairlist;
    int is_base = is_named(s, &package, "base");
    if (is_base && (is_named(s, &name, "compact_intseq") || is_named(s, &name, "compact_realseq"))) {
        then(rest, last);
        return code == (is_named(s, &name, "compact_intseq") ? INT : REAL)
                && sound_sequence(s, position, code)
            ? 0
            : GIVE_UP;
    }
    if (is_base && is_named(s, &name, "deferred_string")) {
        then(rest, numbers_place);
        then(rest, one_integer);
        then(rest, last);
        return code == STR && !scan_flags(s, position, &flags) && flags == LIST ? 0 : GIVE_UP;
    }
    for (size_t i = 0; is_base && i < sizeof wrappers / sizeof *wrappers; i++) {
        if (is_named(s, &name, wrappers[i].name)) {
            if (code != wrappers[i].code || scan_flags(s, position, &flags) || flags != LIST)
                return GIVE_UP;
            then(rest, wrapped[code]);
            then(rest, two_integers);
            then(rest, last);
            return 0;
        }
    }
    if (is_base && (is_named(s, &name, "mmap_integer") || is_named(s, &name, "mmap_real")))
        return GIVE_UP;
    then(rest, state_place);
    then(rest, last);
    return 0;
}

/* The one attribute that the state of a deferred string may have: scan.py, _out_dec. */
static int out_dec(Scan *s, Py_ssize_t *position)
{
    uint32_t flags, count;
    if (scan_flags(s, position, &flags) || flags != (LIST | HAS_TAG) || scan_word(s, position, &flags))
        return GIVE_UP;
    if ((flags & 0xFF) == REF) {
        const Reference *name = scan_reference(s, position, flags);
        if (name == NULL || name->name < 0 || !is_named(s, name, "OutDec"))
            return GIVE_UP;
    } else if (scan_symbol(s, position, flags) || !is_named(s, &s->references[s->known - 1], "OutDec")) {
        return GIVE_UP;
    }
    if (scan_flags(s, position, &flags) || flags != STR || scan_word(s, position, &count) || count != 1)
        return GIVE_UP;
    Py_ssize_t begin = *position;
    uint32_t size, last;
    if (scan_strings(s, position, 1) || *position - begin - 8 > MAX_OUT_DEC)
        return GIVE_UP;
    size = load32(s->data + begin + 4, s->little);
    return size > MAX_OUT_DEC || scan_flags(s, position, &last) || last != NIL ? GIVE_UP : 0;
}

/* -- the loop */

static ScanFrame *scan_top(Scan *s)
{
    return &s->frames[s->depth - 1];
}

/* A frame within the one on top. */
static int wait_for(Scan *s, const ScanFrame *parts)
{
    const ScanFrame *outer = scan_top(s);
    if (outer->depth + 1 > s->max_depth)
        return GIVE_UP;
    ScanFrame frame = *parts;
    frame.depth = outer->depth + 1;
    if (!frame.item) {
        frame.item = outer->item;
        frame.shared = outer->shared;
    }
    if (grow(&s->frames, &s->frame_capacity, s->depth, sizeof *s->frames))
        return GIVE_UP;
    s->frames[s->depth++] = frame;
    return 0;
}

/* The tag `class` among attributes that owe one: text must follow, then other attributes. */
static void pay_class(ScanFrame *frame, Place place, const Scan *s, const Reference *name)
{
    if (frame->owes_class && place == tag_place && is_named(s, name, "class")) {
        frame->owes_class = 0;
        frame->count = frame->next = 0;
        then(frame, string_vector);
        then(frame, proper_cdr);
    }
}

static int shared_call(Scan *s, Py_ssize_t *position, int is_definition, ScanFrame *parts)
{
    const ScanFrame *frame = scan_top(s);
    uint32_t index, code;
    if (scan_word(s, position, &index) || index >= frame->shared)
        return GIVE_UP;
    if (!is_definition)
        return pair_set_has(&s->defined, frame->item, index) ? 0 : GIVE_UP;
    return pair_set_add(&s->defined, frame->item, index) || scan_word(s, position, &code)
            || then_call_tree(parts, code)
        ? GIVE_UP
        : 0;
}

/* One item. `parts` is what it waits for; if that is nothing, it is done. */
static int scan_item(Scan *s, Py_ssize_t *position, Place place, ScanFrame *parts)
{
    uint32_t flags, code;
    uint64_t count;
    const Reference *found;
    if (scan_word(s, position, &flags))
        return GIVE_UP;
    code = flags & 0xFF;
    Action action = place[code];
    if (flags > 0xFF && action != REFERENCE) {
        if (action >= NESTED_CODE)
            return GIVE_UP;
        flags = heeded(flags);
        if (flags & IS_OBJECT && !(flags & HAS_ATTRIBUTES) && action != COMPACT)
            return GIVE_UP;
    }
    switch (action) {
    case FIXED: {
        uint64_t width = code == REAL ? 8 : code == CPLX ? 16 : code == RAW ? 1 : 4;
        if (scan_length(s, position, &count) || count > left(s, *position) / width)
            return GIVE_UP;
        *position += (Py_ssize_t)(count * width);
        then_attributes(parts, flags);
        return 0;
    }
    case NEXT_CELL:
    case PROPER_NEXT:
    case KEY_NEXT: {
        /* The place is the last one of its frame: the frame is replaced, as a tail call. */
        ScanFrame *frame = scan_top(s);
        if (++frame->depth > s->max_depth)
            return GIVE_UP;
        frame->count = frame->next = 0;
        if (action == KEY_NEXT)
            then_parts(frame, flags, any_item, any_item, keyed_cdr);
        else
            then_parts(frame, flags, tag_place, any_item, action == NEXT_CELL ? cdr : proper_cdr);
        return 0;
    }
    case REFERENCE:
        found = scan_reference(s, position, flags);
        if (found == NULL || !place[found->name < 0 ? found->size : SYM])
            return GIVE_UP;
        pay_class(scan_top(s), place, s, found);
        return 0;
    case SYMBOL:
        if (scan_symbol(s, position, flags))
            return GIVE_UP;
        pay_class(scan_top(s), place, s, &s->references[s->known - 1]);
        return 0;
    case STRINGS:
        then_attributes(parts, flags);
        return scan_length(s, position, &count) || scan_strings(s, position, count) ? GIVE_UP : 0;
    case MARKER:
        return 0;
    case OBJECT_CELL:
        parts->owes_class = 1; /* fall through */
    case PROPER_CELL:
        then_parts(parts, flags, tag_place, any_item, proper_cdr);
        return 0;
    case CELL:
        then_parts(parts, flags, tag_place, any_item, cdr);
        return 0;
    case KEY_CELL:
        then_parts(parts, flags, any_item, any_item, keyed_cdr);
        return 0;
    case STATE_CELL:
        then_parts(parts, flags, tag_place, any_item, state_cdr);
        return 0;
    case ITEMS:
    case CHAINS:
        if (scan_length(s, position, &count) || count > left(s, *position) / 4)
            return GIVE_UP;
        parts->repeated = action == ITEMS ? any_item : keyed;
        parts->left = count;
        parts->waits = 1;
        then_attributes(parts, flags);
        return 0;
    case COMPACT:
        return compact(s, position, flags, place, parts);
    case LEAF:
        then(parts, any_item);
        return 0;
    case CALL_TREE:
        return then_call_tree(parts, code);
    case CLOSURE:
        then_parts(parts, flags, environments, pairlist, any_item);
        return 0;
    case PROMISE:
        then_parts(parts, flags, environments, any_item, any_item);
        return 0;
    case ENVIRONMENT:
        if (scan_word(s, position, &code) || code > 1)
            return GIVE_UP;
        then(parts, environments);
        then(parts, pairlist);
        then(parts, hash_table);
        then(parts, pairlist);
        return add_reference(s, -1, ENV);
    case BUCKET_LIST:
        if (flags != VEC || scan_length(s, position, &count) || count == 0 || count > left(s, *position) / 4)
            return GIVE_UP;
        parts->repeated = pairlist;
        parts->left = count;
        return 0;
    case BYTECODE:
        if (scan_word(s, position, &code) || code > left(s, *position) || then_constants(s, position, parts))
            return GIVE_UP;
        parts->item = ++s->bytecode_items;
        parts->shared = code;
        then_attributes(parts, flags);
        return 0;
    case NESTED_CODE:
        return then_constants(s, position, parts);
    case SHARED:
        return shared_call(s, position, 0, parts);
    case SHARED_HERE:
        return shared_call(s, position, 1, parts);
    case INTEGERS_1:
    case INTEGERS_2: {
        uint32_t wanted = action == INTEGERS_1 ? 1 : 2;
        int is_signed = flags == (INT | HAS_ATTRIBUTES) && action == INTEGERS_1;
        if ((flags != INT && !is_signed) || scan_word(s, position, &code) || code != wanted
            || left(s, *position) < 4 * wanted)
            return GIVE_UP;
        *position += 4 * wanted;
        return is_signed ? out_dec(s, position) : 0;
    }
    case BUILTIN_NAMED:
        return scan_builtin(s, position, flags);
    case STRING:
        return scan_char(s, position, flags);
    case BY_NAME:
        return scan_by_name(s, position, flags);
    case POINTER:
        then(parts, protected_place);
        then(parts, any_item);
        then_attributes(parts, flags);
        return add_reference(s, -1, EXTPTR);
    case BARE:
        then_attributes(parts, flags);
        return code == WEAKREF ? add_reference(s, -1, WEAKREF) : 0;
    case REFUSE:
        break;
    }
    return GIVE_UP;
}

int scan(Scan *s, Py_ssize_t *position, Place place)
{
    ScanFrame first = {.repeated = place, .left = 1};
    if (grow(&s->frames, &s->frame_capacity, s->depth, sizeof *s->frames))
        return GIVE_UP;
    Py_ssize_t base = s->depth;
    s->frames[s->depth++] = first;
    while (s->depth > base) {
        ScanFrame *frame = scan_top(s);
        if (frame->left) {
            frame->left--;
            place = frame->repeated;
        } else if (frame->next < frame->count) {
            place = frame->parts[frame->next++];
        } else {
            if (frame->owes_class)
                return GIVE_UP;
            s->depth--;
            continue;
        }
        ScanFrame parts = {0};
        if (scan_item(s, position, place, &parts))
            return GIVE_UP;
        if ((parts.waits || parts.left || parts.count) && wait_for(s, &parts))
            return GIVE_UP;
    }
    return 0;
}
