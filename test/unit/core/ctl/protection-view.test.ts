import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CertificateStatus, InstanceStatus } from '../../../../src/core/control/protocol.js';
import { certificateFacts, protectionFacts } from '../../../../src/core/ctl/protection-view.js';
import {
  instanceStatus,
  NOW,
  standbyStatus,
  statusOf,
  unreachedStatus,
} from '../../../support/status-report.js';

const DAY = 86_400_000;
const certificate = (days: number): CertificateStatus => ({
  parameter: 'heartbeat_sslcert',
  path: '/srv/app1/conmgr.crt',
  validFrom: NOW - 100 * DAY,
  validTo: NOW + days * DAY,
});
function shown(instances: readonly InstanceStatus[], certificates?: readonly CertificateStatus[]) {
  const report = statusOf({ instances, ...(certificates === undefined ? {} : { certificates }) });
  return protectionFacts(report)[0]?.[1];
}

describe('the protection of the links', () => {
  const secret = instanceStatus({ link: { protection: 'secret' } });

  it('is one word where it is the same for all that are up', () => {
    assert.deepEqual(shown([instanceStatus(), standbyStatus()]), { text: 'none', style: undefined });
    assert.deepEqual(shown([secret, unreachedStatus({ number: 1 })]), { text: 'secret', style: undefined });
  });

  it('is told for each where they differ, as after a reload, and stands out', () => {
    const two = standbyStatus({ number: 2, link: { protection: 'certificate' } });
    const three = standbyStatus({ number: 3, link: { protection: 'certificate' } });
    assert.deepEqual(shown([secret, two, three]), {
      text: 'secret (instance 0), certificate (instances 2, 3)',
      style: 'warning',
    });
  });

  it('is not told while no link is up, nor by a conmgr that does not say it', () => {
    assert.equal(shown([unreachedStatus()]), undefined);
    const { protection: _, ...link } = instanceStatus().link;
    assert.equal(shown([{ ...instanceStatus(), link }]), undefined);
  });

  it('has a line for a certificate that expires soon or has expired, up or not', () => {
    const up = instanceStatus({ link: { protection: 'certificate' } });
    assert.deepEqual(shown([up], [certificate(200)]), { text: 'certificate', style: undefined });
    assert.deepEqual(shown([up], [certificate(20)]), {
      text: 'certificate\ncertificate of heartbeat_sslcert expires in 20 days',
      style: 'warning',
    });
    assert.deepEqual(shown([unreachedStatus()], [certificate(-1)]), {
      text: 'certificate of heartbeat_sslcert has expired',
      style: 'warning',
    });
  });
});

describe('certificates on a status page', () => {
  it('are shown with their last day, or with what is wrong', () => {
    const facts = (one: CertificateStatus) => certificateFacts({ certificates: [one], now: NOW });
    assert.deepEqual(facts(certificate(200)), [['heartbeat_sslcert', 'good until 2027-06-09']]);
    assert.deepEqual(facts(certificate(1)), [['heartbeat_sslcert', 'expires in 1 day']]);
    assert.deepEqual(facts({ ...certificate(300), validFrom: NOW + DAY }), [
      ['heartbeat_sslcert', 'is not valid yet'],
    ]);
    assert.deepEqual(certificateFacts({ now: NOW }), []);
  });
});
