/** Links by a key of which most have one link: a conmgr's identity, an address. */
import type { Link } from './link.js';

const NONE: readonly Link[] = [];

export class LinkIndex {
  /** A set for one link would be five times as large as the link's entry here. */
  readonly #links = new Map<string, Link | Set<Link>>();

  add(key: string, link: Link): void {
    const known = this.#links.get(key);
    if (known === undefined || known === link) this.#links.set(key, link);
    else if (known instanceof Set) known.add(link);
    else this.#links.set(key, new Set([known, link]));
  }

  remove(key: string, link: Link): void {
    const known = this.#links.get(key);
    if (known instanceof Set) {
      known.delete(link);
      if (known.size === 0) this.#links.delete(key);
    } else if (known === link) this.#links.delete(key);
  }

  of(key: string): readonly Link[] {
    const known = this.#links.get(key);
    if (known === undefined) return NONE;
    return known instanceof Set ? [...known] : [known];
  }
}
