/** What V8 adds to Error, and the libraries use where it is there. With Node's types it is the same. */
interface ErrorConstructor {
  stackTraceLimit: number;
}
