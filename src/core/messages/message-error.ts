/**
 * An error that a user meets as a message: it carries the row and what fills it.
 */
import { fill, type MessageParams, type MessageSpec } from './message.js';

/** Thrown where a message of the tables ends an action; the caller writes it with `log.write(error.spec,
 *  error.params)` and ends with `error.spec.exit` where that is set. `code` is the stable number of the row. */
export class MessageError extends Error {
  readonly spec: MessageSpec;
  readonly params: MessageParams;

  constructor(spec: MessageSpec, params: MessageParams = {}, options?: ErrorOptions) {
    super(fill(spec.text, params), options);
    this.name = 'MessageError';
    this.spec = spec;
    this.params = params;
  }

  get code(): string {
    return this.spec.code;
  }
}
