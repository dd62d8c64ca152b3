#ifndef MAPRING_TOOLS_JSON_H
#define MAPRING_TOOLS_JSON_H

/* Prints a JSON string with its quotes to standard output. Bytes that are no UTF-8 become U+FFFD. */
void json_string(const char *text);

#endif
