/* Loops over contiguous operands of one dtype, for arrays of a few to a few thousand elements.
 *
 * Each row below is one ufunc on one dtype: NumPy's name of the ufunc, operand type, result type, whether the floating
 * point status counts, and the result for operands `a` and `b`. The rows are expanded twice into functions, for the
 * baseline instruction set and for AVX2, and once into a table.
 *
 * Outputs may be one of the inputs; they never overlap otherwise.
 */
#ifndef NPX_SMALL_LOOPS_H
#define NPX_SMALL_LOOPS_H

#include <fenv.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <numpy/ndarraytypes.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define NPX_HAVE_AVX2() (__builtin_cpu_init(), __builtin_cpu_supports("avx2"))
#define NPX_AVX2 __attribute__((target("avx2")))
#else
#define NPX_HAVE_AVX2() 0
#define NPX_AVX2
#endif

#if defined(__clang__)
#define NPX_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#pragma GCC optimize("no-math-errno") /* else each sqrt is a call */
#define NPX_INDEPENDENT _Pragma("GCC ivdep")
#else
#define NPX_INDEPENDENT __pragma(loop(ivdep))
#endif

typedef struct {
    double re, im;
} npx_complex;

/* type names in the rows, and what they stand for */
typedef npy_bool npx_BOOL;
typedef npy_int32 npx_INT32;
typedef npy_int64 npx_INT64;
typedef npy_float32 npx_FLOAT32;
typedef npy_float64 npx_FLOAT64;
typedef npx_complex npx_COMPLEX128;
typedef npy_uint32 npx_UNSIGNED_INT32;
typedef npy_uint64 npx_UNSIGNED_INT64;
#define NPX_BITS(T) (8 * sizeof(npx_##T))
#define NPX_MIN(T) ((npx_##T)((npx_UNSIGNED_##T)1 << (NPX_BITS(T) - 1)))

/* signed arithmetic that wraps around */
#define NPX_WRAP(T, a, sign, b) ((npx_##T)((npx_UNSIGNED_##T)(a)sign(npx_UNSIGNED_##T)(b)))

/* Integer division rounds down; where NumPy would warn the flag is raised, and NumPy computes the result. */
#define NPX_INTEGER_DIVISION(T)                                                             \
    static inline npx_##T npx_quotient_##T(npx_##T a, npx_##T b) {                      \
        if (b == 0 || (b == -1 && a == NPX_MIN(T))) {                                       \
            feraiseexcept(b == 0 ? FE_DIVBYZERO : FE_OVERFLOW);                             \
            return 0;                                                                       \
        }                                                                                   \
        return a / b - (a % b != 0 && (a < 0) != (b < 0));                                  \
    }                                                                                       \
    static inline npx_##T npx_modulo_##T(npx_##T a, npx_##T b) {                         \
        if (b == 0) {                                                                       \
            feraiseexcept(FE_DIVBYZERO);                                                    \
            return 0;                                                                       \
        }                                                                                   \
        if (b == -1)                                                                        \
            return 0;                                                                       \
        npx_##T rest = a % b;                                                               \
        return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;                        \
    }
NPX_INTEGER_DIVISION(INT32)
NPX_INTEGER_DIVISION(INT64)

/* ---- the rows */

#define COMPARISON_ROWS(ROW, T)            \
    ROW(less, T, BOOL, 0, a < b)           \
    ROW(less_equal, T, BOOL, 0, a <= b)    \
    ROW(greater, T, BOOL, 0, a > b)        \
    ROW(greater_equal, T, BOOL, 0, a >= b) \
    ROW(equal, T, BOOL, 0, a == b)         \
    ROW(not_equal, T, BOOL, 0, a != b)

#define LOGICAL_ROWS(ROW, T)                            \
    ROW(logical_and, T, BOOL, 0, (a != 0) & (b != 0))   \
    ROW(logical_or, T, BOOL, 0, (a != 0) | (b != 0))    \
    ROW(logical_xor, T, BOOL, 0, (a != 0) ^ (b != 0))

/* True may be any byte but 0 */
#define BOOL_ROWS(ROW)                                \
    LOGICAL_ROWS(ROW, BOOL)                           \
    ROW(add, BOOL, BOOL, 0, (a != 0) | (b != 0))      \
    ROW(multiply, BOOL, BOOL, 0, (a != 0) & (b != 0)) \
    ROW(bitwise_and, BOOL, BOOL, 0, (a != 0) & (b != 0)) \
    ROW(bitwise_or, BOOL, BOOL, 0, (a != 0) | (b != 0))  \
    ROW(bitwise_xor, BOOL, BOOL, 0, (a != 0) ^ (b != 0)) \
    ROW(equal, BOOL, BOOL, 0, (a != 0) == (b != 0))   \
    ROW(not_equal, BOOL, BOOL, 0, (a != 0) != (b != 0))

#define INTEGER_ROWS(ROW, T)                                                                            \
    COMPARISON_ROWS(ROW, T)                                                                             \
    LOGICAL_ROWS(ROW, T)                                                                                \
    ROW(add, T, T, 0, NPX_WRAP(T, a, +, b))                                                             \
    ROW(subtract, T, T, 0, NPX_WRAP(T, a, -, b))                                                        \
    ROW(multiply, T, T, 0, NPX_WRAP(T, a, *, b))                                                        \
    ROW(divide, T, FLOAT64, 1, (double)a / (double)b)                                                   \
    ROW(floor_divide, T, T, 1, npx_quotient_##T(a, b))                                                  \
    ROW(remainder, T, T, 1, npx_modulo_##T(a, b))                                                       \
    ROW(maximum, T, T, 0, a > b ? a : b)                                                                \
    ROW(minimum, T, T, 0, a < b ? a : b)                                                                \
    ROW(bitwise_and, T, T, 0, a & b)                                                                    \
    ROW(bitwise_or, T, T, 0, a | b)                                                                     \
    ROW(bitwise_xor, T, T, 0, a ^ b)                                                                    \
    ROW(left_shift, T, T, 0, (npx_UNSIGNED_##T)b < NPX_BITS(T) ? NPX_WRAP(T, a, <<, b) : 0)             \
    ROW(right_shift, T, T, 0, a >> ((npx_UNSIGNED_##T)b < NPX_BITS(T) ? b : (npx_##T)NPX_BITS(T) - 1))

#define FLOAT_ROWS(ROW, T)                              \
    COMPARISON_ROWS(ROW, T)                             \
    LOGICAL_ROWS(ROW, T)                                \
    ROW(add, T, T, 1, a + b)                            \
    ROW(subtract, T, T, 1, a - b)                       \
    ROW(multiply, T, T, 1, a * b)                       \
    ROW(divide, T, T, 1, a / b)                         \
    ROW(maximum, T, T, 0, a > b || a != a ? a : b)     \
    ROW(minimum, T, T, 0, a < b || a != a ? a : b)

/* no multiplication: NumPy's rounds differently where the machine has fused multiply-add */
#define COMPLEX_ROWS(ROW, T)                                                 \
    ROW(add, T, T, 1, ((npx_complex){a.re + b.re, a.im + b.im}))             \
    ROW(subtract, T, T, 1, ((npx_complex){a.re - b.re, a.im - b.im}))        \
    ROW(equal, T, BOOL, 0, (a.re == b.re) & (a.im == b.im))                  \
    ROW(not_equal, T, BOOL, 0, (a.re != b.re) | (a.im != b.im))

#define BINARY_ROWS(ROW)       \
    BOOL_ROWS(ROW)             \
    INTEGER_ROWS(ROW, INT32)   \
    INTEGER_ROWS(ROW, INT64)   \
    FLOAT_ROWS(ROW, FLOAT32)   \
    FLOAT_ROWS(ROW, FLOAT64)   \
    COMPLEX_ROWS(ROW, COMPLEX128)

#define UNARY_INTEGER_ROWS(ROW, T)                               \
    ROW(negative, T, T, 0, NPX_WRAP(T, 0, -, a))                 \
    ROW(positive, T, T, 0, a)                                    \
    ROW(absolute, T, T, 0, a < 0 ? NPX_WRAP(T, 0, -, a) : a)     \
    ROW(invert, T, T, 0, ~a)                                     \
    ROW(square, T, T, 0, NPX_WRAP(T, a, *, a))                   \
    ROW(logical_not, T, BOOL, 0, a == 0)

#define UNARY_FLOAT_ROWS(ROW, T, suffix)          \
    ROW(negative, T, T, 0, -a)                    \
    ROW(positive, T, T, 0, a)                     \
    ROW(absolute, T, T, 0, fabs##suffix(a))       \
    ROW(square, T, T, 1, a * a)                   \
    ROW(sqrt, T, T, 1, sqrt##suffix(a))           \
    ROW(reciprocal, T, T, 1, 1 / a)               \
    ROW(logical_not, T, BOOL, 0, a == 0)

#define UNARY_ROWS(ROW)                      \
    ROW(invert, BOOL, BOOL, 0, a == 0)       \
    ROW(logical_not, BOOL, BOOL, 0, a == 0)  \
    UNARY_INTEGER_ROWS(ROW, INT32)           \
    UNARY_INTEGER_ROWS(ROW, INT64)           \
    UNARY_FLOAT_ROWS(ROW, FLOAT32, f)        \
    UNARY_FLOAT_ROWS(ROW, FLOAT64, )         \
    ROW(negative, COMPLEX128, COMPLEX128, 0, ((npx_complex){-a.re, -a.im})) \
    ROW(positive, COMPLEX128, COMPLEX128, 0, a)

/* ---- the functions; `fixed` is 1 where the second operand stays, 2 where the first does */

#define BINARY_BODY(T, R, expression)                                                   \
    {                                                                                   \
        const npx_##T *x = first, *y = second;                                          \
        npx_##R *r = out;                                                               \
        if (fixed == 0) {                                                               \
            NPX_INDEPENDENT for (ptrdiff_t i = 0; i < n; i++) {                         \
                const npx_##T a = x[i], b = y[i];                                       \
                r[i] = (expression);                                                    \
            }                                                                           \
        } else if (fixed == 1) {                                                        \
            const npx_##T b = *y;                                                       \
            NPX_INDEPENDENT for (ptrdiff_t i = 0; i < n; i++) {                         \
                const npx_##T a = x[i];                                                 \
                r[i] = (expression);                                                    \
            }                                                                           \
        } else {                                                                        \
            const npx_##T a = *x;                                                       \
            NPX_INDEPENDENT for (ptrdiff_t i = 0; i < n; i++) {                         \
                const npx_##T b = y[i];                                                 \
                r[i] = (expression);                                                    \
            }                                                                           \
        }                                                                               \
    }
#define UNARY_BODY(T, R, expression)                                                    \
    {                                                                                   \
        const npx_##T *x = first;                                                       \
        npx_##R *r = out;                                                               \
        NPX_INDEPENDENT for (ptrdiff_t i = 0; i < n; i++) {                             \
            const npx_##T a = x[i];                                                     \
            r[i] = (expression);                                                        \
        }                                                                               \
    }
#define BINARY_PARAMETERS (const void *first, const void *second, void *out, Py_ssize_t n, int fixed)
#define UNARY_PARAMETERS (const void *first, void *out, Py_ssize_t n)

#define DEFINE_BINARY(name, T, R, flags, expression)                              \
    static void npx_##name##_##T BINARY_PARAMETERS BINARY_BODY(T, R, expression)  \
    NPX_AVX2 static void npx_##name##_##T##_avx2 BINARY_PARAMETERS BINARY_BODY(T, R, expression)
#define DEFINE_UNARY(name, T, R, flags, expression)                                    \
    static void npx_unary_##name##_##T UNARY_PARAMETERS UNARY_BODY(T, R, expression)   \
    NPX_AVX2 static void npx_unary_##name##_##T##_avx2 UNARY_PARAMETERS UNARY_BODY(T, R, expression)
BINARY_ROWS(DEFINE_BINARY)
UNARY_ROWS(DEFINE_UNARY)

/* ---- the tables */

typedef struct {
    const char *ufunc;
    int type_num, out, flags;
    void (*baseline) BINARY_PARAMETERS;
    void (*avx2) BINARY_PARAMETERS;
} npx_binary_row;
typedef struct {
    const char *ufunc;
    int type_num, out, flags;
    void (*baseline) UNARY_PARAMETERS;
    void (*avx2) UNARY_PARAMETERS;
} npx_unary_row;

#define BINARY_ENTRY(name, T, R, flags, expression) \
    {#name, NPY_##T, NPY_##R, flags, npx_##name##_##T, npx_##name##_##T##_avx2},
#define UNARY_ENTRY(name, T, R, flags, expression) \
    {#name, NPY_##T, NPY_##R, flags, npx_unary_##name##_##T, npx_unary_##name##_##T##_avx2},
static const npx_binary_row npx_binary_rows[] = {BINARY_ROWS(BINARY_ENTRY)};
static const npx_unary_row npx_unary_rows[] = {UNARY_ROWS(UNARY_ENTRY)};
#define NPX_LENGTH(table) ((int)(sizeof(table) / sizeof((table)[0])))

#endif
