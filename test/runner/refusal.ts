/** An error for the person at the command line: one line that says what to do, no stack trace. */
export class Refusal extends Error {}
