#include "cli/app.h"

int main(int argc, char** argv) { return refrag::cli::run(argc, argv); }
