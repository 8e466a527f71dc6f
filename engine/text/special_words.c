/* special_words.c -- see special_words.h. Rows are sorted by their bytes, spaces aside. */
#include "engine/text/special_words.h"

#include <stdbool.h>

#include "base/mem.h"

/* clang-format off */
static const char *const words[] = {
    "'S", "'cause", "'d", "'em", "'ll", "'m", "'re", "'s", "'ve", "(*_*)", "(-8", "(-:", "(-;",
    "(-_-)", "(._.)", "(:", "(;", "(=", "(>_<)", "(^_^)", "(o:", "(\340\262\240_\340\262\240)",
    "(\342\225\257\302\260\342\226\241\302\260)",
    "\342\225\257\357\270\265\342\224\273\342\224\201\342\224\273", ")-:", "):", "-_-", "-__-",
    "._.", "0.0", "0.o", "0_0", "0_o", "8)", "8-)", "8-D", "8D", ":'(", ":')", ":'-(", ":'-)",
    ":(", ":((", ":(((", ":()", ":)", ":))", ":)))", ":*", ":-(", ":-((", ":-(((", ":-)", ":-))",
    ":-)))", ":-*", ":-/", ":-0", ":-3", ":->", ":-D", ":-O", ":-P", ":-X", ":-]", ":-o", ":-p",
    ":-x", ":-|", ":-}", ":/", ":0", ":1", ":3", ":>", ":D", ":O", ":P", ":X", ":]", ":o", ":o)",
    ":p", ":x", ":|", ":}", ";)", ";-)", ";-D", ";D", ";_;", "<.<", "<.>", "</3", "<3", "<33",
    "<333", "=(", "=)", "=/", "=3", "=D", "=[", "=]", "=|", ">.<", ">.>", ">:(", ">:)", ">:o",
    "@_@", "Adm.", "Ak.", "Ala.", "Apr.", "Ariz.", "Ark.", "Aug.", "Bros.", "C++", "Calif.", "Co.",
    "Colo.", "Conn.", "Corp.", "D.C.", "Dec.", "Del.", "Dr.", "E.G.", "E.g.", "Feb.", "Fla.",
    "Ga.", "Gen.", "Gov.", "I.E.", "I.e.", "Ia.", "Id.", "Ill.", "Inc.", "Ind.", "Jan.", "Jr.",
    "Jul.", "Jun.", "Kan.", "Kans.", "Ky.", "La.", "Ltd.", "Mar.", "Mass.", "Md.", "Messrs.",
    "Mich.", "Minn.", "Miss.", "Mo.", "Mont.", "Mr.", "Mrs.", "Ms.", "Mt.", "N.C.", "N.D.", "N.H.",
    "N.J.", "N.M.", "N.Y.", "Neb.", "Nebr.", "Nev.", "Nov.", "O.O", "O.o", "O_O", "O_o", "Oct.",
    "Okla.", "Ore.", "Pa.", "Ph.D.", "Prof.", "Rep.", "Rev.", "S.C.", "Sen.", "Sep.", "Sept.",
    "St.", "Tenn.", "V.V", "V_V", "Va.", "Wash.", "Wis.", "XD", "XDD", "XDDD", "[-:", "[:", "[=",
    "\\o/", "]=", "^_^", "^__^", "^___^", "a.", "a.m.", "ai nt", "are nt", "b.", "c'mon", "c++",
    "c.", "can not", "ca nt", "ca nt ve", "co.", "cos'", "cos\342\200\231", "could nt",
    "could nt ve", "could ve", "c\342\200\231mon", "d.", "dare nt", "did nt", "did nt ve",
    "does nt", "does nt ve", "doin'", "doin\342\200\231", "do nt", "do nt ve", "e.", "e.g.", "f.",
    "g.", "goin'", "goin\342\200\231", "gon na", "got ta", "h.", "had nt", "had nt ve", "has nt",
    "have nt", "havin'", "havin\342\200\231", "he d", "he d ve", "he ll ve", "he s", "how d",
    "how ll", "how re", "how s", "how ve", "i 'm a", "i.", "i.e.", "i d", "i d ve", "i ll ve",
    "i m", "i m a", "is nt", "it d", "it d ve", "it ll", "it ll ve", "i ve", "i \342\200\231m a",
    "j.", "k.", "l.", "let 's", "let \342\200\231s", "lovin'", "lovin\342\200\231", "m.", "ma'am",
    "may nt", "may nt ve", "ma\342\200\231am", "might nt", "might nt ve", "might ve", "must nt",
    "must nt ve", "must ve", "n't", "n.", "need nt", "need nt ve", "nothin'", "nothin\342\200\231",
    "nuthin'", "nuthin\342\200\231", "n\342\200\231t", "o'clock", "o.", "o.0", "o.O", "o.o", "o_0",
    "o_O", "o_o", "ol'", "ol\342\200\231", "ought nt", "ought nt ve", "o\342\200\231clock", "p.",
    "p.m.", "q.", "r.", "s.", "sha nt", "sha nt ve", "she d ve", "she ll ve", "she s", "should nt",
    "should nt ve", "should ve", "somethin'", "somethin\342\200\231", "t.", "that d", "that ll",
    "that re", "that s", "that ve", "there d", "there ll", "there re", "there s", "there ve",
    "they d", "they d ve", "they ll", "they ll ve", "they re", "they ve", "this d", "this ll",
    "this re", "this s", "this ve", "those d", "those ll", "those re", "those s", "those ve", "u.",
    "v.", "v.s.", "v.v", "v_v", "vs.", "w.", "was nt", "we d", "we d ve", "we ll ve", "were nt",
    "we ve", "what d", "what ll", "what re", "what s", "what ve", "when d", "when ll", "when re",
    "when s", "when ve", "where d", "where ll", "where re", "where s", "where ve", "who d",
    "who ll", "who s", "who ve", "why d", "why ll", "why re", "why s", "why ve", "wo nt",
    "wo nt ve", "would nt", "would nt ve", "would ve", "x.", "xD", "xDD", "y' all", "y.", "y all",
    "you d", "you d ve", "you ll", "you ll ve", "you re", "you ve", "y\342\200\231 all", "z.",
    "\302\257\\(\343\203\204)/\302\257", "\303\244.", "\303\266.", "\303\274.",
    "\340\262\240_\340\262\240", "\340\262\240\357\270\265\340\262\240", "\342\200\231S",
    "\342\200\231cause", "\342\200\231d", "\342\200\231em", "\342\200\231ll", "\342\200\231m",
    "\342\200\231re", "\342\200\231s", "\342\200\231ve",
};
/* clang-format on */

/* The sign of < = > of `word` and a row's word. */
static int compare(const char *word, size_t len, const char *row)
{
    size_t i = 0;
    for (; *row; row++) {
        if (*row == ' ')
            continue;
        if (i == len)
            return -1;
        if (word[i] != *row)
            return (unsigned char)word[i] < (unsigned char)*row ? -1 : 1;
        i++;
    }
    return i < len ? 1 : 0;
}

static const char *find(const char *word, size_t len)
{
    size_t low = 0, high = ARRAY_LEN(words);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(word, len, words[middle]);
        if (order == 0)
            return words[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *special_word(const char *word, size_t len)
{
    char small[SPECIAL_WORD_MAX];
    const char *row = NULL;
    if (len == 0 || len > SPECIAL_WORD_MAX)
        return NULL;
    row = find(word, len);
    bool has_capitals = false;
    for (size_t i = 0; i < len; i++) {
        has_capitals |= word[i] >= 'A' && word[i] <= 'Z';
        small[i] = (char)(word[i] >= 'A' && word[i] <= 'Z' ? word[i] | 0x20 : word[i]);
    }
    return row || !has_capitals ? row : find(small, len);
}

void special_word_lengths(uint32_t lengths[256])
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        unsigned char first = (unsigned char)words[i][0];
        uint32_t len = 0;
        for (const char *byte = words[i]; *byte; byte++)
            len += *byte != ' ';
        lengths[first] |= 1u << len;
        if (first >= 'a' && first <= 'z')
            lengths[first & ~0x20] |= 1u << len;
    }
}
