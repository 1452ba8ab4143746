/**
 * Put in front of every bundled test file: one that hangs ends by itself, on every release of Node.js alike, and
 * counts as failed. The limit is far above what any file needs; the slowest take tens of seconds. The system tests, whose
 * files boot many hosts, have one of their own (TEST_LIMIT_MS).
 */
const LIMIT_MS = Number(process.env['TEST_LIMIT_MS'] ?? 180_000);

// Set by node:test for the process of a test file; not set when a file is run by hand.
if (process.env['NODE_TEST_CONTEXT'] !== undefined) {
  setTimeout(() => {
    console.error(`this file was not done after ${LIMIT_MS / 1000} s`);
    process.exit(124);
  }, LIMIT_MS).unref();
}
