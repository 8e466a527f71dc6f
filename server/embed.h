/* embed.h -- files taken into the program by the assembler. The Makefile names what an object has
 * embedded, since -MMD does not see it. */
#ifndef THAW_SERVER_EMBED_H
#define THAW_SERVER_EMBED_H

/* NAME and NAME_end are the first byte of the file and the one behind its last. */
#define EMBED(name, file)                                                                          \
    extern const char name[], name##_end[];                                                        \
    __asm__(".pushsection .rodata\n"                                                               \
            ".global " #name "\n" #name ":\n"                                                      \
            ".incbin \"" file "\"\n"                                                               \
            ".global " #name "_end\n" #name "_end:\n"                                              \
            ".byte 0\n"                                                                            \
            ".popsection\n")

#endif
