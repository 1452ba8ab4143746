import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type CertificateFiles, readCertificates } from '../../../src/io/certificates.js';
import { LinkFileError } from '../../../src/io/link-file.js';
import { readGateSecurity, readLinkSecurity, SSL_SETTINGS } from '../../../src/io/link-protection.js';
import { Authority } from '../../support/authority.js';
import { temporaryDirectory } from '../../support/tree.js';

const OWN = process.getuid?.() ?? 0;
const authority = new Authority('own');
const issued = authority.issue('app1');

/** Copies in a directory of their own, and the files that name them. */
function files(): CertificateFiles & { readonly directory: string } {
  const directory = temporaryDirectory('certificates-');
  for (const [from, name] of [
    [issued.cert, 'a.crt'],
    [issued.key, 'a.key'],
    [authority.cert, 'root.crt'],
  ] as const)
    copyFileSync(from, join(directory, name));
  chmodSync(join(directory, 'a.key'), 0o600);
  return {
    directory,
    cert: { parameter: 'heartbeat_sslcert', path: 'a.crt' },
    key: { parameter: 'heartbeat_sslkey', path: 'a.key' },
    ca: { parameter: 'heartbeat_sslrootcert', path: 'root.crt' },
  };
}

const read = (one: ReturnType<typeof files>, changes: Partial<CertificateFiles> = {}, owner = OWN) =>
  readCertificates({ ...one, ...changes }, { base: one.directory, owner, env: {} });

async function refusal(...args: Parameters<typeof read>): Promise<string> {
  try {
    await read(...args);
  } catch (error) {
    assert.ok(error instanceof LinkFileError);
    const secret = readFileSync(issued.key, 'utf8').split('\n')[1]!;
    assert.ok(!error.message.includes(secret.slice(0, 8)), 'the message has nothing of the key');
    return `${error.parameter}: ${error.message.replaceAll(`${args[0].directory}/`, '')}`;
  }
  throw new Error('the files were taken');
}

describe('the files of certificates', () => {
  it('are read by names relative to the base, whatever stands around the certificates in them', async () => {
    const one = files();
    const cert = join(one.directory, 'a.crt');
    writeFileSync(cert, `subject: ä\n${readFileSync(cert, 'utf8')}\n# end\n`);
    const { cert: pem, ca, shown } = await read(one);
    assert.match(pem, /^-----BEGIN CERTIFICATE-----\n[^-]+-----END CERTIFICATE-----\n$/);
    assert.match(ca ?? '', /CERTIFICATE/);
    const [own, root] = shown;
    assert.equal(own?.parameter, 'heartbeat_sslcert');
    assert.equal(root?.parameter, 'heartbeat_sslrootcert');
    const days = ((own?.toMs ?? 0) - (own?.fromMs ?? 0)) / 86_400_000;
    assert.equal(days, 100);
  });

  it('a key that others may use is refused as PostgreSQL does it', async () => {
    const one = files();
    const key = join(one.directory, 'a.key');
    const ofRoot = OWN === 0;
    for (const mode of [0o600, 0o400, ...(ofRoot ? [0o640, 0o440] : [])]) {
      chmodSync(key, mode);
      await read(one);
    }
    for (const mode of [0o604, 0o644, 0o660, 0o650, 0o601, ...(ofRoot ? [] : [0o640, 0o440])]) {
      chmodSync(key, mode);
      const text = mode.toString(8).padStart(4, '0');
      assert.equal(
        await refusal(one),
        `heartbeat_sslkey: private key file "a.key" may be used by group or others (mode ${text}); it must have mode ` +
          '0600 or less, or 0640 or less if root owns it; make a new key, or if nobody has read this one: chmod 0600 a.key',
      );
    }
  });

  it('a key of another user is refused, unless that is root', async () => {
    const one = files();
    if (OWN === 0) await read(one, {}, 12_345);
    else assert.match(await refusal(one, {}, OWN + 1), /a\.key" belongs to another user \(UID \d+\)/);
  });

  it('what does not hold what it should is refused with its parameter', async () => {
    const one = files();
    const named = (path: string) => ({ parameter: 'x', path });
    let number = 0;
    const put = (text: string | Buffer) => {
      number += 1;
      const name = `other${number}`;
      writeFileSync(join(one.directory, name), text, { mode: 0o600 });
      return named(name);
    };
    const damaged = readFileSync(issued.cert, 'utf8').replace(/\n[A-Za-z0-9+/]{10}/, '\nAAAAAAAAAA');
    const cases: readonly (readonly [Partial<CertificateFiles>, RegExp])[] = [
      [
        { cert: named('nowhere') },
        /^x: certificate file "nowhere" could not be read: no such file or directory; /,
      ],
      [
        { cert: put('') },
        /^x: certificate file "other\d+" has no certificate; it must hold certificates in PEM/,
      ],
      [{ cert: put(readFileSync(issued.key)) }, /^x: certificate file "other\d+" has no certificate/],
      [{ cert: put(damaged) }, /^x: certificate file "other\d+" has a certificate that is damaged/],
      [{ ca: put('no') }, /^x: certificate file "other\d+" has no certificate/],
      [
        { ca: put('x'.repeat(5 * 1024 * 1024)) },
        /^x: certificate file "other\d+" is longer than 4194304 bytes/,
      ],
      [
        { key: put('no') },
        /^x: private key file "other\d+" has no private key; it must hold one in PEM format$/,
      ],
      [
        { key: put(readFileSync(authority.issue('app2').key)) },
        /^x: private key file "other\d+" does not belong to the/,
      ],
      [
        { crl: put('no') },
        /^x: certificate revocation list file "other\d+" has no list of revoked certificates/,
      ],
      [
        { crlDirectory: named('.') },
        /^x: directory ".*" has no list of revoked certificates; openssl rehash/,
      ],
      [{ crlDirectory: named('nowhere') }, /^x: directory "nowhere" could not be read: no such file/],
    ];
    for (const [changes, words] of cases) {
      assert.match(await refusal(one, changes), words);
    }
  });

  it('a key with a passphrase is refused with what to do', async () => {
    const one = files();
    const key = join(one.directory, 'locked.key');
    execFileSync('openssl', ['pkey', '-in', issued.key, '-aes256', '-passout', 'pass:x', '-out', key]);
    chmodSync(key, 0o600);
    assert.match(
      await refusal(one, { key: { parameter: 'x', path: 'locked.key' } }),
      /^x: private key file "locked\.key" is protected by a passphrase; take it off in a copy/,
    );
  });

  it('of a directory of lists all are read', async () => {
    const one = files();
    authority.revoke();
    copyFileSync(authority.crl, join(one.directory, '0123abcd.r0'));
    copyFileSync(authority.crl, join(one.directory, 'not-one'));
    const { crl } = await read(one, { crlDirectory: { parameter: 'x', path: '.' } });
    assert.equal(crl.length, 1);
  });

  it('of several authorities the one that is good for longest counts, of a chain the one that expires first', async () => {
    const one = files();
    const short = authority.issue('middle', { toDays: 10 });
    const texts = (...names: string[]) => names.map((name) => readFileSync(name, 'utf8')).join('');
    writeFileSync(join(one.directory, 'a.crt'), texts(issued.cert, short.cert));
    writeFileSync(join(one.directory, 'root.crt'), texts(short.cert, authority.cert));
    const [own, root] = (await read(one)).shown;
    const daysLeft = (at = 0): number => Math.round((at - Date.now()) / 86_400_000);
    assert.equal(daysLeft(own?.toMs), 10);
    assert.ok(daysLeft(root?.toMs) > 3000);
  });
});

describe('what protects the links of a conmgr', () => {
  const none = {
    heartbeatSecretFile: undefined,
    heartbeatSslmode: 'disable',
    heartbeatSslrootcert: undefined,
    heartbeatSslcert: undefined,
    heartbeatSslkey: undefined,
  } as const;

  it('is nothing while neither secret nor certificate is to be used, whatever files are named', async () => {
    assert.deepEqual(await readLinkSecurity({ ...none, heartbeatSslcert: 'nowhere' }, '/', {}), {
      kind: 'none',
    });
  });

  it('may be credentials of its unit', async () => {
    const { directory } = files();
    const config = {
      ...none,
      heartbeatSslmode: 'verify-full',
      heartbeatSslrootcert: '%d/root.crt',
      heartbeatSslcert: '%d/a.crt',
      heartbeatSslkey: '%d/a.key',
    } as const;
    const security = await readLinkSecurity(config, directory, { CREDENTIALS_DIRECTORY: directory });
    assert.equal(security.kind, 'certificate');
    await assert.rejects(readLinkSecurity(config, directory, {}), /needs the variable CREDENTIALS_DIRECTORY/);
  });
});

describe('what protects the links of a watchdog', () => {
  const place = (path: string) => ({ path, uid: OWN });

  it('are the files of PostgreSQL, by names in the data directory, with their defaults', async () => {
    const { directory } = files();
    copyFileSync(join(directory, 'a.crt'), join(directory, 'server.crt'));
    copyFileSync(join(directory, 'a.key'), join(directory, 'server.key'));
    const settings = { ...SSL_SETTINGS, ssl_ca_file: 'root.crt' };
    const on = { secretFile: undefined, ssl: true };
    assert.equal((await readGateSecurity(on, settings, place(directory), {}))?.kind, 'certificate');
    assert.equal(await readGateSecurity({ ...on, ssl: false }, settings, place(directory), {}), undefined);
    await assert.rejects(
      readGateSecurity(on, { ...settings, ssl_cert_file: '' }, place(directory), {}),
      (error: LinkFileError) => error.parameter === 'ssl_cert_file',
    );
  });

  it('are nothing without an authority', async () => {
    const { directory } = files();
    await assert.rejects(
      readGateSecurity({ secretFile: undefined, ssl: true }, SSL_SETTINGS, place(directory), {}),
      (error: LinkFileError) =>
        error.parameter === 'watchdog.ssl' && /ssl_ca_file is not set/.test(error.message),
    );
  });
});
