// Read by the thread sanitizer's run time when a program starts. Debian's libraries are not instrumented: the sanitizer
// does not see how they synchronize. What they call back is ours, instrumented, and still checked.
//
// libcpp-httplib: the initialisation of its function-local statics looks like a race of every first use by two threads.
// libstdc++: it counts references to an exception that several threads share, and the last of them frees it.
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_suppressions();  // NOLINT: its name
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:libcpp-httplib\n"
         "race:std::runtime_error::~runtime_error\n";
}
