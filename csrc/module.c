/* The module: the classes of rinterop.values as C sees them. */
#include "speed.h"

#include <structmember.h>
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL rinterop_speed_numpy
#include <numpy/arrayobject.h>

Class classes[N_KINDS];
PyObject *na, *null, *markers[256], *rtext, *native_codecs, *state_flaw;

#define ATTRIBUTED "attributes", "gp", "is_object"

static const struct {
    const char *name;
    const char *slots[MAX_SLOTS];
} descriptions[N_KINDS] = {
    [K_NULL] = {"Null", {"label"}},
    [K_ENVIRONMENT_MARKER] = {"EnvironmentMarker", {"label"}},
    [K_MARKER] = {"Marker", {"label"}},
    [K_SYMBOL] = {"Symbol", {"name"}},
    [K_CHAR] = {"Char", {"text"}},
    [K_BUILTIN] = {"Builtin", {"name", "special", "gp"}},
    [K_NAMESPACE] = {"Namespace", {"strings"}},
    [K_PACKAGE] = {"PackageEnvironment", {"strings"}},
    [K_PERSISTENT] = {"Persistent", {"strings"}},
    [K_LOGICAL] = {"Logical", {ATTRIBUTED, "values"}},
    [K_INTEGER] = {"Integer", {ATTRIBUTED, "values"}},
    [K_DOUBLE] = {"Double", {ATTRIBUTED, "values"}},
    [K_COMPLEX] = {"Complex", {ATTRIBUTED, "values"}},
    [K_RAW] = {"Raw", {ATTRIBUTED, "values"}},
    [K_CHARACTER] = {"Character", {ATTRIBUTED, "values"}},
    [K_LIST] = {"List", {ATTRIBUTED, "values"}},
    [K_EXPRESSION] = {"Expression", {ATTRIBUTED, "values"}},
    [K_ALTREP] = {"Altrep", {ATTRIBUTED, "class_name", "package", "type_code", "state"}},
    [K_PAIRLIST] = {"PairList", {"cells", "end"}},
    [K_CALL] = {"Call", {"cells", "end"}},
    [K_DOT_ARGS] = {"DotArgs", {"cells", "end"}},
    [K_CELL] = {"Cell", {ATTRIBUTED, "value", "tag", "is_call"}},
    [K_CLOSURE] = {"Closure", {ATTRIBUTED, "formals", "body", "environment"}},
    [K_PROMISE] = {"Promise", {ATTRIBUTED, "value", "expression", "environment"}},
    [K_ENVIRONMENT] = {"Environment", {"attributes", "parent", "frame", "buckets", "locked"}},
    [K_EXTERNAL_POINTER] = {"ExternalPointer", {ATTRIBUTED, "protected", "tag"}},
    [K_WEAK_REFERENCE] = {"WeakReference", {ATTRIBUTED}},
    [K_S4] = {"S4", {ATTRIBUTED}},
    [K_BYTECODE] = {"ByteCode", {ATTRIBUTED, "shared", "body"}},
    [K_CODE_BODY] = {"CodeBody", {"code", "constants"}},
    [K_CONSTANT] = {"Constant", {"code", "value"}},
    [K_CALL_TREE] = {"CallTree", {"code", "tag", "car", "cdr", "attributes", "shared"}},
    [K_SHARED_CALL] = {"SharedCall", {"index"}},
    [K_RTEXT] = {"RText", {"raw", "gp"}},
};

static const struct {
    const char *name;
    int code;
} marker_names[] = {
    {"NULL", NIL},
    {"GLOBAL_ENV", GLOBALENV},
    {"BASE_ENV", BASEENV},
    {"EMPTY_ENV", EMPTYENV},
    {"BASE_NAMESPACE", BASENAMESPACE},
    {"UNBOUND", UNBOUNDVALUE},
    {"MISSING_ARG", MISSINGARG},
};

/* Kinds by type, in a table with open addressing: a dispatch costs one look. */
enum { TABLE_SIZE = 256 };
static struct {
    PyTypeObject *type;
    Kind kind;
} kind_table[TABLE_SIZE];

static size_t table_place(PyTypeObject *type)
{
    size_t place = (((uintptr_t)type >> 4) * 0x9E3779B1u >> 8) % TABLE_SIZE;
    while (kind_table[place].type != NULL && kind_table[place].type != type)
        place = (place + 1) % TABLE_SIZE;
    return place;
}

Kind kind_of(PyObject *value)
{
    size_t place = table_place(Py_TYPE(value));
    return kind_table[place].type == NULL ? K_OTHER : kind_table[place].kind;
}

/* Where a class keeps a slot. Classes that are laid out in another way than we know are not touched. */
static int find_slot(PyObject *class, const char *name, Py_ssize_t *offset)
{
    PyObject *member = PyObject_GetAttrString(class, name);
    if (member == NULL)
        return GIVE_UP;
    int known = Py_IS_TYPE(member, &PyMemberDescr_Type)
        && ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX;
    if (known)
        *offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else
        PyErr_Format(PyExc_ImportError, "%R.%s is no slot", class, name);
    Py_DECREF(member);
    return known ? 0 : GIVE_UP;
}

static int find_class(PyObject *values, Kind kind)
{
    PyObject *class = PyObject_GetAttrString(values, descriptions[kind].name);
    if (class == NULL)
        return GIVE_UP;
    int count = 0;
    while (count < MAX_SLOTS && descriptions[kind].slots[count] != NULL) {
        if (find_slot(class, descriptions[kind].slots[count], &classes[kind].slot[count]))
            return GIVE_UP;
        count++;
    }
    PyTypeObject *type = (PyTypeObject *)class;
    Py_ssize_t size = (Py_ssize_t)(sizeof(PyObject) + count * sizeof(PyObject *));
#if PY_VERSION_HEX < 0x030B0000
    /* Dataclasses of Python 3.10 have the slots of their bases once more. */
    int all_known = type->tp_basicsize >= size;
#else
    int all_known = type->tp_basicsize == size;
#endif
    int is_ours = (type->tp_flags & Py_TPFLAGS_HAVE_GC) && type->tp_itemsize == 0 && type->tp_dictoffset == 0
        && type->tp_weaklistoffset == 0 && all_known;
    if (kind != K_RTEXT && !is_ours) { /* RText is made by calling it */
        PyErr_Format(PyExc_ImportError, "%R has another layout", class);
        return GIVE_UP;
    }
    classes[kind].type = type; /* with the reference: classes stay for good */
    size_t place = table_place(type);
    kind_table[place].type = type;
    kind_table[place].kind = kind;
    return 0;
}

static PyObject *get(const char *module, const char *name)
{
    PyObject *from = PyImport_ImportModule(module);
    PyObject *found = from == NULL ? NULL : PyObject_GetAttrString(from, name);
    Py_XDECREF(from);
    return found;
}

static int find_values(void)
{
    PyObject *values = PyImport_ImportModule("rinterop.values");
    if (values == NULL)
        return GIVE_UP;
    int failed = 0;
    for (int kind = 0; kind < N_KINDS && !failed; kind++)
        failed = find_class(values, (Kind)kind);
    for (size_t i = 0; i < sizeof marker_names / sizeof *marker_names && !failed; i++) {
        markers[marker_names[i].code] = PyObject_GetAttrString(values, marker_names[i].name);
        failed = markers[marker_names[i].code] == NULL;
    }
    Py_DECREF(values);
    if (failed)
        return GIVE_UP;
    null = markers[NIL];
    rtext = (PyObject *)classes[K_RTEXT].type;
    na = get("rinterop.values", "NA");
    native_codecs = get("rinterop.values.text", "NATIVE_CODECS");
    state_flaw = get("rinterop.values.altrep", "state_flaw");
    return na == NULL || native_codecs == NULL || state_flaw == NULL || !PyDict_Check(native_codecs) ? GIVE_UP
                                                                                                     : 0;
}

static PyMethodDef methods[] = {
    {"loads", (PyCFunction)(void (*)(void))speed_loads, METH_FASTCALL, "See rinterop._speed.pyi."},
    {"dumps", (PyCFunction)(void (*)(void))speed_dumps, METH_FASTCALL, "See rinterop._speed.pyi."},
    {"walk", (PyCFunction)(void (*)(void))speed_walk, METH_FASTCALL, "See rinterop._speed.pyi."},
    {"outline", (PyCFunction)(void (*)(void))speed_outline, METH_FASTCALL, "See rinterop._speed.pyi."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rinterop._speed",
    .m_size = -1,
    .m_methods = methods,
    .m_doc = "Compiled parts of rinterop.serialize.",
};

PyMODINIT_FUNC PyInit__speed(void)
{
    import_array();
    if (find_values() || load_grammar()) {
        /* Of whatever kind the failure is: without this module all works, so say that it cannot be had. */
        if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_ImportError)) {
            PyErr_Clear();
            PyErr_SetString(PyExc_ImportError, "rinterop._speed was built for another rinterop");
        }
        return NULL;
    }
    PyObject *module = PyModule_Create(&definition);
#ifdef Py_GIL_DISABLED
    /* Said, though it is what Python takes for granted: a free-threaded Python turns its lock on again. The
     * writer borrows the parts of a value while it writes, and another thread may change an environment. */
    if (module != NULL)
        PyUnstable_Module_SetGIL(module, Py_MOD_GIL_USED);
#endif
    if (module != NULL && PyModule_AddIntMacro(module, ABI)) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
