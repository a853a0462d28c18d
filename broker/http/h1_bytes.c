#include "http/h1_bytes.h"

#define V H1_B_VISIBLE
#define N (H1_B_VISIBLE | H1_B_HOST)

const uint8_t h1_byte_class[256] = {
    ['\t'] = H1_B_BLANK, [' '] = H1_B_BLANK,
    ['!' ... ','] = V,   ['-' ... '.'] = N,
    ['/'] = V,           ['0' ... '9'] = N | H1_B_DIGIT,
    [':' ... '@'] = V,   ['A' ... 'Z'] = N,
    ['[' ... '^'] = V,   ['_'] = N,
    ['`'] = V,           ['a' ... 'z'] = N,
    ['{' ... '~'] = V,   [0x80 ... 0xff] = H1_B_HIGH,
};

#undef V
#undef N

/* RFC 9110 5.6.2: the letters, in both cases, and the other token bytes as themselves. */
#define LETTER(c) [c] = c, [(c) - 'a' + 'A'] = c
#define SELF(c)   [c] = c

const uint8_t h1_name_byte[256] = {
    LETTER('a'), LETTER('b'), LETTER('c'), LETTER('d'), LETTER('e'), LETTER('f'), LETTER('g'),
    LETTER('h'), LETTER('i'), LETTER('j'), LETTER('k'), LETTER('l'), LETTER('m'), LETTER('n'),
    LETTER('o'), LETTER('p'), LETTER('q'), LETTER('r'), LETTER('s'), LETTER('t'), LETTER('u'),
    LETTER('v'), LETTER('w'), LETTER('x'), LETTER('y'), LETTER('z'), SELF('0'),   SELF('1'),
    SELF('2'),   SELF('3'),   SELF('4'),   SELF('5'),   SELF('6'),   SELF('7'),   SELF('8'),
    SELF('9'),   SELF('!'),   SELF('#'),   SELF('$'),   SELF('%'),   SELF('&'),   SELF('\''),
    SELF('*'),   SELF('+'),   SELF('-'),   SELF('.'),   SELF('^'),   SELF('`'),   SELF('|'),
    SELF('~'),   ['_'] = '-',
};

/* Filled with -1 where a plain initialiser would leave 0. */
const int8_t h1_hex_value[256] = {
    [0 ... '0' - 1] = -1,
    ['0'] = 0,
    ['1'] = 1,
    ['2'] = 2,
    ['3'] = 3,
    ['4'] = 4,
    ['5'] = 5,
    ['6'] = 6,
    ['7'] = 7,
    ['8'] = 8,
    ['9'] = 9,
    ['9' + 1 ... 'A' - 1] = -1,
    ['A'] = 10,
    ['B'] = 11,
    ['C'] = 12,
    ['D'] = 13,
    ['E'] = 14,
    ['F'] = 15,
    ['F' + 1 ... 'a' - 1] = -1,
    ['a'] = 10,
    ['b'] = 11,
    ['c'] = 12,
    ['d'] = 13,
    ['e'] = 14,
    ['f'] = 15,
    ['f' + 1 ... 255] = -1,
};
