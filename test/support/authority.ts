/** A certificate authority for tests: real certificates, made by openssl(1). */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from './tree.js';

/** What a certificate says. */
export interface CertificateWish {
  /** subjectAltName as openssl writes it; default: DNS:localhost,IP:127.0.0.1. */
  readonly names?: string;
  /** From when to when, seen from now; default: from a day ago for 100 days. */
  readonly fromDays?: number;
  readonly toDays?: number;
  /** extendedKeyUsage; default: none, good for both ends. */
  readonly usage?: 'serverAuth' | 'clientAuth';
}

/** The files of one certificate. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

function openssl(directory: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
}

export class Authority {
  readonly directory: string = temporaryDirectory('authority-');
  /** Its own certificate. */
  readonly cert: string = join(this.directory, 'root.crt');
  /** Its list of revoked certificates, once there is one. */
  readonly crl: string = join(this.directory, 'root.crl');
  #issued = 0;

  constructor(name: string) {
    const { directory } = this;
    chmodSync(directory, 0o755);
    writeFileSync(join(directory, 'index'), '');
    writeFileSync(join(directory, 'serial'), '01\n');
    writeFileSync(
      join(directory, 'ca.cnf'),
      [
        '[ca]',
        'default_ca = own',
        '[own]',
        ...['database = index', 'serial = serial', 'new_certs_dir = .', 'unique_subject = no'],
        ...['certificate = root.crt', 'private_key = root.key', 'default_md = sha256', 'policy = any'],
        'default_crl_days = 10',
        '[any]',
        'commonName = supplied',
        '[req]',
        'distinguished_name = name',
        '[name]',
      ].join('\n'),
    );
    this.#newKey('root.key');
    openssl(
      directory,
      ...['req', '-x509', '-config', 'ca.cnf', '-key', 'root.key', '-days', '3650', '-subj', `/CN=${name}`],
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-out', 'root.crt'],
    );
  }

  /** A key of mode 0600 and a certificate for it. */
  issue(name: string, wish: CertificateWish = {}): Issued {
    const { names = 'DNS:localhost,IP:127.0.0.1', fromDays = -1, toDays = 99, usage } = wish;
    this.#issued += 1;
    const file = `${name}-${this.#issued}`;
    this.#newKey(`${file}.key`);
    const { directory } = this;
    const config = ['-config', 'ca.cnf'];
    openssl(
      directory,
      'req',
      '-new',
      ...config,
      '-key',
      `${file}.key`,
      '-subj',
      `/CN=${name}`,
      '-out',
      `${file}.csr`,
    );
    const extensions = [
      'basicConstraints=CA:FALSE',
      ...(names === '' ? [] : [`subjectAltName=${names}`]),
      ...(usage === undefined ? [] : [`extendedKeyUsage=${usage}`]),
    ];
    writeFileSync(join(directory, `${file}.ext`), extensions.join('\n'));
    openssl(
      directory,
      ...['ca', '-batch', '-notext', ...config, '-in', `${file}.csr`, '-out', `${file}.crt`],
      ...['-startdate', dateFromNow(fromDays), '-enddate', dateFromNow(toDays), '-extfile', `${file}.ext`],
    );
    return { cert: join(directory, `${file}.crt`), key: join(directory, `${file}.key`) };
  }

  /** A certificate that makes another authority one of its own. */
  sign({ directory: other }: Authority): string {
    const to = join(other, 'signed-root.crt');
    openssl(other, 'x509', '-x509toreq', '-in', 'root.crt', '-signkey', 'root.key', '-out', 'root.csr');
    writeFileSync(join(other, 'root.ext'), 'basicConstraints=critical,CA:TRUE');
    openssl(
      this.directory,
      ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-days', '100'],
      ...['-in', join(other, 'root.csr'), '-out', to, '-extfile', join(other, 'root.ext')],
    );
    return to;
  }

  /** Puts certificates on its list; without any, an empty list is made. */
  revoke(...certificates: readonly Issued[]): void {
    for (const { cert } of certificates) openssl(this.directory, 'ca', '-config', 'ca.cnf', '-revoke', cert);
    openssl(this.directory, 'ca', '-config', 'ca.cnf', '-gencrl', '-out', this.crl);
  }

  #newKey(file: string): void {
    openssl(
      this.directory,
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      file,
    );
    chmodSync(join(this.directory, file), 0o600);
  }
}

function dateFromNow(days: number): string {
  const text = new Date(Date.now() + days * DAY_MS).toISOString();
  return `${text.slice(0, 19).replace(/[-:T]/g, '')}Z`;
}

/** Puts files where a server looks for them, as its user's own; what is there is replaced as a whole. */
export function install({ cert, key }: Issued, directory: string, base = 'server'): void {
  const { uid, gid } = statSync(directory);
  for (const [from, name, mode] of [
    [cert, `${base}.crt`, 0o644],
    [key, `${base}.key`, 0o600],
  ] as const) {
    const to = join(directory, name);
    if (existsSync(to)) writeFileSync(to, readFileSync(from));
    else copyFileSync(from, to);
    chmodSync(to, mode);
    if (process.getuid?.() === 0) chownSync(to, uid, gid);
  }
}
