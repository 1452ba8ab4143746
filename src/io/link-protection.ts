/** How the links of a conmgr or a watchdog are protected, from its configuration and the files that it names. */
import { stat } from 'node:fs/promises';
import type { ConmgrConfig, WatchdogConfig } from '../core/config/types.js';
import { judgeValidity } from '../core/config/validity.js';
import type { CertificateStatus } from '../core/control/protocol.js';
import { formatUtc } from '../core/messages/format.js';
import type { Log } from '../core/messages/message.js';
import { PROCESS_MESSAGES } from '../core/messages/process.js';
import type { WallMs } from '../core/time.js';
import { type NamedFile, readCertificates } from './certificates.js';
import type { DataDirectory } from './data-directory.js';
import { isForeignCredential, LinkFileError } from './link-file.js';
import { type GateSecurity, type LinkSecurity, UNPROTECTED } from './link-security.js';
import { readSecretFile } from './secret-file.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** The parameters that name files. */
export type LinkFileConfig = Pick<
  ConmgrConfig,
  'heartbeatSecretFile' | 'heartbeatSslmode' | 'heartbeatSslrootcert' | 'heartbeatSslcert' | 'heartbeatSslkey'
>;

/** Rejects with LinkFileError. Secret and key are for the owner of the directory, whoever asks. */
export async function readLinkSecurity(
  config: LinkFileConfig,
  directory: string,
  env: Environment = process.env,
): Promise<LinkSecurity> {
  const { heartbeatSecretFile: secret, heartbeatSslmode: mode } = config;
  if (secret === undefined && mode === 'disable') return UNPROTECTED;
  const { uid: owner } = await stat(directory);
  const place = { base: directory, owner, env };
  if (secret !== undefined) {
    const file = { ...place, parameter: 'heartbeat_secret_file', path: secret };
    return { kind: 'secret', secrets: await readSecretFile(file) };
  }
  const [ca, cert, key] = filesOf(config);
  const files = { ca, cert: needed(cert, 'heartbeat_sslcert'), key: needed(key, 'heartbeat_sslkey') };
  const certificates = await readCertificates(files, place);
  return { kind: 'certificate', certificates, ownName: mode === 'verify-full' };
}

/** Whether a file that protects the links is a credential, which only the unit of the conmgr can have. */
export function isInUnitOnly(config: LinkFileConfig, env: Environment): boolean {
  const { heartbeatSecretFile: path = '' } = config;
  const files = config.heartbeatSslmode === 'disable' ? [] : filesOf(config);
  return [{ path }, ...files].some(
    (file) => file !== undefined && isForeignCredential({ path: file.path, env }),
  );
}

function filesOf(config: LinkFileConfig): readonly (NamedFile | undefined)[] {
  const { heartbeatSslrootcert, heartbeatSslcert, heartbeatSslkey } = config;
  return [
    named('heartbeat_sslrootcert', heartbeatSslrootcert),
    named('heartbeat_sslcert', heartbeatSslcert),
    named('heartbeat_sslkey', heartbeatSslkey),
  ];
}

/** The settings of PostgreSQL that name the files of watchdog.ssl, with their defaults. */
export const SSL_SETTINGS = {
  ssl_cert_file: 'server.crt',
  ssl_key_file: 'server.key',
  ssl_ca_file: '',
  ssl_crl_file: '',
  ssl_crl_dir: '',
} as const;

export type SslSettings = Readonly<Record<keyof typeof SSL_SETTINGS, string>>;

/**
 * What a watchdog wants of those that connect; undefined: nothing. Rejects with LinkFileError. PostgreSQL takes names
 * relative to the data directory.
 */
export async function readGateSecurity(
  { secretFile, ssl }: Pick<WatchdogConfig, 'secretFile' | 'ssl'>,
  settings: SslSettings,
  { path: base, uid: owner }: Pick<DataDirectory, 'path' | 'uid'>,
  env: Environment = process.env,
): Promise<GateSecurity | undefined> {
  const place = { base, owner, env };
  if (secretFile !== undefined) {
    const file = { ...place, parameter: 'watchdog.secret_file', path: secretFile };
    return { kind: 'secret', secrets: await readSecretFile(file) };
  }
  if (!ssl) return undefined;
  const file = (parameter: keyof SslSettings): NamedFile | undefined => named(parameter, settings[parameter]);
  const ca = file('ssl_ca_file');
  if (ca === undefined) {
    throw new LinkFileError(
      'watchdog.ssl',
      'ssl_ca_file is not set; name the authority of the conmgrs there, as without it anybody could pose as one',
    );
  }
  const certificates = await readCertificates(
    {
      ca,
      cert: needed(file('ssl_cert_file'), 'ssl_cert_file'),
      key: needed(file('ssl_key_file'), 'ssl_key_file'),
      crl: file('ssl_crl_file'),
      crlDirectory: file('ssl_crl_dir'),
    },
    place,
  );
  return { kind: 'certificate', certificates };
}

function named(parameter: string, path: string | undefined): NamedFile | undefined {
  return path === undefined || path === '' ? undefined : { parameter, path };
}

function needed(file: NamedFile | undefined, parameter: string): NamedFile {
  if (file === undefined)
    throw new LinkFileError(parameter, 'it is not set, and certificates are to be used');
  return file;
}

/** The certificates of which the status tells. */
export function certificateStatus(security: LinkSecurity | GateSecurity | undefined): {
  readonly certificates?: readonly CertificateStatus[];
} {
  if (security?.kind !== 'certificate') return {};
  return {
    certificates: security.certificates.shown.map(({ parameter, path, fromMs, toMs }) => ({
      ...{ parameter, path },
      ...{ validFrom: fromMs, validTo: toMs },
    })),
  };
}

/** Says which certificates have expired or will soon. */
export function reportValidity(
  security: LinkSecurity | GateSecurity | undefined,
  now: WallMs,
  write: Log['write'],
): void {
  if (security?.kind !== 'certificate') return;
  for (const span of security.certificates.shown) {
    const finding = judgeValidity(span, now);
    if (finding === undefined) continue;
    const params = { path: span.path, name: span.parameter };
    const date = formatUtc(finding.is === 'notYetValid' ? span.fromMs : span.toMs).slice(0, 10);
    const days = 'days' in finding ? finding.days : 0;
    const row = {
      expired: PROCESS_MESSAGES.certificateExpired,
      expiring: PROCESS_MESSAGES.certificateExpires,
      notYetValid: PROCESS_MESSAGES.certificateNotYetValid,
    }[finding.is];
    write(row, { ...params, days, date });
  }
}
