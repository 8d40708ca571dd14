// A program that does nothing, to be linked with the whole core.
int main() { return 0; }
