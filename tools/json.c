#include "json.h"

#include <stdint.h>
#include <stdio.h>

/* The bytes of the UTF-8 character at the front of `text`, or 0 if there is none. Stops at the final zero. */
static int character_length(const unsigned char *text)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t smallest;
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

    for (int more = 0; more < 4; more++) {
        if ((text[0] & forms[more].mask) != forms[more].lead)
            continue;
        uint32_t character = text[0] & (unsigned char)~forms[more].mask;
        for (int i = 1; i <= more; i++) {
            if ((text[i] & 0xc0) != 0x80)
                return 0;
            character = character << 6 | (text[i] & 0x3f);
        }
        if (character < forms[more].smallest || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
            return 0;
        return more + 1;
    }
    return 0;
}

void json_string(const char *text)
{
    const unsigned char *byte = (const unsigned char *)text;
    putchar('"');
    while (*byte != '\0') {
        int length = character_length(byte);
        if (length == 0)
            fputs("\\ufffd", stdout);
        else if (*byte == '"' || *byte == '\\')
            printf("\\%c", *byte);
        else if (*byte < ' ')
            printf("\\u%04x", *byte);
        else
            fwrite(byte, 1, (size_t)length, stdout);
        byte += length == 0 ? 1 : length;
    }
    putchar('"');
}
