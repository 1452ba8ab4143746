/**
 * The certificates, keys and lists of revoked certificates that protect heartbeat links, read from files in PEM format.
 * What is not good is refused here with the name of its file, and not in the middle of a handshake.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import tls from 'node:tls';
import { commonValidity, type Validity } from '../core/config/validity.js';
import { type LinkFile, LinkFileError, type LinkFileKind, readLinkFile, unusable } from './link-file.js';
import { CERTIFICATE_TLS } from './link-security.js';
import { errorText } from './native.js';

/** What one end shows, and what it wants of the other; all in PEM format. */
export interface Certificates {
  readonly cert: string;
  readonly key: string;
  /** Never empty: Node.js would trust the authorities of the web instead. undefined: nothing is verified. */
  readonly ca: string | undefined;
  /** Not empty: a certificate counts only if the list of its authority is here and does not name it. */
  readonly crl: readonly string[];
  readonly shown: readonly CertificateSpan[];
}

/** How long what a file holds is valid. */
export interface CertificateSpan extends Validity {
  readonly parameter: string;
  readonly path: string;
}

const CERTIFICATE: LinkFileKind = {
  what: 'certificate file',
  limit: 4 * 1024 * 1024,
  cure: 'name a file that the user of this process can read',
  closedTo: undefined,
};

/** The rule of PostgreSQL for ssl_key_file (be-secure-common.c) and of libpq for sslkey (fe-secure-openssl.c). */
const KEY: LinkFileKind = {
  what: 'private key file',
  limit: 64 * 1024,
  cure: 'name a file that the user of this process can read',
  closedTo: { ofRoot: 0o037, ofOthers: 0o077 },
  cureOfOpen:
    'it must have mode 0600 or less, or 0640 or less if root owns it; make a new key, or if nobody has read this one',
};

const REVOKED: LinkFileKind = {
  what: 'certificate revocation list file',
  limit: 64 * 1024 * 1024,
  cure: 'name a file that the user of this process can read',
  closedTo: undefined,
};

type Place = Pick<LinkFile, 'base' | 'owner' | 'env'>;

/** A file, and the parameter that names it. */
export interface NamedFile {
  readonly parameter: string;
  readonly path: string;
}

/** The files of one end. */
export interface CertificateFiles {
  readonly cert: NamedFile;
  readonly key: NamedFile;
  readonly ca: NamedFile | undefined;
  readonly crl?: NamedFile | undefined;
  /** With the names of openssl-rehash(1): HASH.rN. */
  readonly crlDirectory?: NamedFile | undefined;
}

/** Reads all of them. Rejects with LinkFileError when one is missing, open to others, or does not hold what it should. */
export async function readCertificates(files: CertificateFiles, place: Place): Promise<Certificates> {
  const own = await readChain({ ...files.cert, ...place, kind: CERTIFICATE });
  const authorities =
    files.ca === undefined ? undefined : await readChain({ ...files.ca, ...place, kind: CERTIFICATE });
  const keyFile = { ...files.key, ...place, kind: KEY };
  const { path, text: key } = await readWhole(keyFile);
  const [leaf] = own.chain;
  if (leaf?.checkPrivateKey(privateKey(keyFile, path, key)) !== true) {
    const cure = `name the two that were made together (${files.cert.parameter}, ${files.key.parameter})`;
    throw unusable(keyFile, path, `does not belong to the certificate in "${own.path}"`, cure);
  }
  const crl = await readRevoked(files, place);
  const ca = authorities?.pem;
  try {
    tls.createSecureContext({ ...CERTIFICATE_TLS, cert: own.pem, key, ca, crl: [...crl] });
  } catch (error) {
    // For example "ee key too small": what OpenSSL thinks of it, whose place in its code is of no use.
    const reason = errorText(error).replace(/^error:[0-9A-F]+:[^:]*::?/i, '');
    throw new LinkFileError(files.cert.parameter, `certificate cannot be used for TLS: ${reason}`);
  }
  const shown = [{ ...own.named, ...commonValidity(own.chain.map(validity)) }];
  // One good authority of several is enough: an old one may stay in the file for a while.
  const last = authorities?.chain.map(validity).sort((a, b) => b.toMs - a.toMs)[0];
  if (authorities !== undefined && last !== undefined) shown.push({ ...authorities.named, ...last });
  return { cert: own.pem, key, ca, crl, shown };
}

interface Chain {
  readonly path: string;
  readonly pem: string;
  readonly chain: readonly X509Certificate[];
  readonly named: { readonly parameter: string; readonly path: string };
}

async function readChain(file: LinkFile): Promise<Chain> {
  const { path, text } = await readWhole(file);
  const blocks = text.match(/-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]+-----END \1-----/g) ?? [];
  const cure = 'it must hold certificates in PEM format';
  if (blocks.length === 0) throw unusable(file, path, 'has no certificate', cure);
  try {
    const chain = blocks.map((block) => new X509Certificate(block));
    return { path, pem: `${blocks.join('\n')}\n`, chain, named: { parameter: file.parameter, path } };
  } catch (error) {
    throw unusable(file, path, 'has a certificate that is damaged', cure, { cause: error });
  }
}

/** What is too long to be read as a whole may lack the certificate that counts. */
async function readWhole(file: LinkFile): ReturnType<typeof readLinkFile> {
  const read = await readLinkFile(file);
  const { limit } = file.kind;
  if (read.text.length <= limit) return read;
  throw unusable(file, read.path, `is longer than ${limit} bytes`, 'put only what is needed there');
}

function privateKey(file: LinkFile, path: string, text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (error) {
    if (/ENCRYPTED/.test(text)) {
      const cure = 'take it off in a copy, as nobody is there to type it: openssl pkey -in FILE -out COPY';
      throw unusable(file, path, 'is protected by a passphrase', cure, { cause: error });
    }
    throw unusable(file, path, 'has no private key', 'it must hold one in PEM format', { cause: error });
  }
}

async function readRevoked(
  { crl, crlDirectory }: CertificateFiles,
  place: Place,
): Promise<readonly string[]> {
  const files = crl === undefined ? [] : [crl];
  if (crlDirectory !== undefined) files.push(...(await filesOf(crlDirectory, place.base)));
  const lists = await Promise.all(
    files.map(async (named) => {
      const file = { ...named, ...place, kind: REVOKED };
      const { path, text } = await readWhole(file);
      const blocks = text.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g) ?? [];
      if (blocks.length > 0) return blocks;
      throw unusable(file, path, 'has no list of revoked certificates', 'it must hold one in PEM format');
    }),
  );
  return lists.flat();
}

async function filesOf({ parameter, path }: NamedFile, base: string): Promise<NamedFile[]> {
  const directory = resolve(base, path);
  const names = await readdir(directory).catch((error: Error) => {
    const message = `directory "${directory}" could not be read: ${errorText(error)}`;
    throw new LinkFileError(parameter, message, { cause: error });
  });
  const lists = names.filter((name) => /^[0-9a-f]{8}\.r\d+$/.test(name));
  if (lists.length > 0) return lists.map((name) => ({ parameter, path: join(directory, name) }));
  const problem = 'has no list of revoked certificates';
  throw new LinkFileError(
    parameter,
    `directory "${directory}" ${problem}; openssl rehash gives them their names`,
  );
}

function validity({ validFrom, validTo }: X509Certificate): Validity {
  return { fromMs: Date.parse(validFrom), toMs: Date.parse(validTo) };
}
