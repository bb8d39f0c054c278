/* A server that says which configuration it was given, and is done. */
#include <stdio.h>

int main(int argc, char **argv) {
  const char *path = argc > 1 ? argv[1] : "/app/config";
  FILE *config = fopen(path, "r");
  if (config == NULL) {
    perror(path);
    return 1;
  }
  char line[256];
  while (fgets(line, sizeof line, config) != NULL) {
    printf("config: %s", line);
  }
  fclose(config);
  return 0;
}
