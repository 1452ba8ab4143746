/**
 * Where a CancelRequest is to go: to the server that issued the key. A key that passed under encryption is not known;
 * then every server is asked at which a session of the same port and peer could be, for a server ignores a key that is
 * not its own.
 */

import { Buffer } from 'node:buffer';

/** Address of a server. */
export interface ServerPlace {
  readonly host: string;
  readonly port: number;
}

/** A session that is being forwarded. */
export interface ForwardedSession {
  readonly place: ServerPlace;
  /** Port of conmgr that the application came to. */
  readonly listener: number;
  /** Address of the application. */
  readonly peer: string;
}

export class CancelRoutes {
  readonly #sessions = new Map<number, ForwardedSession>();
  /** Sessions by the body of BackendKeyData, and back. */
  readonly #byKey = new Map<string, number>();
  readonly #keys = new Map<number, string>();

  add(session: number, forwarded: ForwardedSession): void {
    this.#sessions.set(session, forwarded);
  }

  /** The server has told its key. */
  learn(session: number, key: Buffer): void {
    const text = key.toString('latin1');
    this.#keys.set(session, text);
    this.#byKey.set(text, session);
  }

  /** What is known of a session; an empty key: nothing. */
  routeOf(session: number): { readonly place: ServerPlace; readonly key: Buffer } | undefined {
    const place = this.#sessions.get(session)?.place;
    return place && { place, key: Buffer.from(this.#keys.get(session) ?? '', 'latin1') };
  }

  remove(session: number): void {
    const key = this.#keys.get(session);
    if (key !== undefined && this.#byKey.get(key) === session) this.#byKey.delete(key);
    this.#keys.delete(session);
    this.#sessions.delete(session);
  }

  /** The servers to ask, each once. `key`: process ID and key as in the request. */
  find(key: Buffer, listener: number, peer: string): readonly ServerPlace[] {
    const owner = this.#byKey.get(key.toString('latin1'));
    const known = owner === undefined ? undefined : this.#sessions.get(owner);
    if (known !== undefined) return [known.place];
    const unread = [...this.#sessions].filter(([session]) => !this.#keys.has(session)).map(([, one]) => one);
    const ofListener = unread.filter((one) => one.listener === listener);
    const ofPeer = ofListener.filter((one) => one.peer === peer);
    return distinct((ofPeer.length > 0 ? ofPeer : ofListener).map(({ place }) => place));
  }
}

function distinct(places: readonly ServerPlace[]): readonly ServerPlace[] {
  return [...new Map(places.map((place) => [`${place.host} ${place.port}`, place])).values()];
}
