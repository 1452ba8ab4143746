import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HEARTBEAT_MAGIC, type HeartbeatMessageOf } from '../../../../src/core/protocol/messages.js';
import { type AdmissionRules, judgeHello, type Namesake } from '../../../../src/core/session/admission.js';

const HELLO: HeartbeatMessageOf<'hello'> = {
  name: 'hello',
  magic: HEARTBEAT_MAGIC,
  versionMin: 1,
  versionMax: 1,
  intervalMs: 1000,
  timeoutMs: 3000,
  conmgrId: 'a'.repeat(32),
  bootId: 'b'.repeat(32),
  systemIdentifier: 0n,
  software: '',
  label: '',
};
const RULES: AdmissionRules = { stopping: false, links: 0, maxLinks: 2, systemIdentifier: 9n };

function judge(
  hello: Partial<HeartbeatMessageOf<'hello'>> = {},
  rules: Partial<AdmissionRules> = {},
  namesakes: readonly Namesake<string>[] = [],
) {
  return judgeHello({ ...HELLO, ...hello }, '10.0.0.1', namesakes, { ...RULES, ...rules });
}

function code(...args: Parameters<typeof judge>): string {
  const admission = judge(...args);
  return admission.admit ? 'admitted' : admission.code;
}

describe('admission of a conmgr', () => {
  it('takes the highest version both speak, and names its range where there is none', () => {
    assert.deepEqual(judge({ versionMin: 0, versionMax: 40 }), { admit: true, version: 1, replaces: [] });
    const refused = judge({ versionMin: 2, versionMax: 3 });
    assert.ok(
      !refused.admit && refused.code === 'version' && refused.text.includes('versions 1 to 1, not 2 to 3'),
    );
  });

  it('refuses timing out of bounds', () => {
    assert.equal(code({ intervalMs: 49 }), 'bounds');
    assert.equal(code({ timeoutMs: 49 }), 'bounds');
    assert.equal(code({ intervalMs: 2_147_483_648 }), 'bounds');
    assert.equal(code({ intervalMs: 50, timeoutMs: 2_147_483_647 }), 'admitted');
  });

  it('takes a time-out that is not above the interval: conmgr has warned of it', () => {
    assert.equal(code({ intervalMs: 3000, timeoutMs: 1000 }), 'admitted');
  });

  it('refuses a conmgr of another cluster once both know theirs', () => {
    assert.equal(code({ systemIdentifier: 8n }), 'wrongCluster');
    assert.equal(code({ systemIdentifier: 9n }), 'admitted');
    assert.equal(code({ systemIdentifier: 8n }, { systemIdentifier: 0n }), 'admitted');
  });

  it('refuses over the limit with a time to come back', () => {
    const refused = judge({}, { links: 2 });
    assert.ok(!refused.admit && refused.code === 'limit' && refused.retryAfterMs >= 1000);
    assert.equal(code({}, { links: 1 }), 'admitted');
  });

  it('lets a conmgr that is connected come back however full it is, in place of its old link', () => {
    const admission = judge({}, { links: 2 }, [{ key: 'old', address: '10.0.0.1' }]);
    assert.deepEqual(admission, { admit: true, version: 1, replaces: ['old'] });
  });

  it('refuses the same identity from elsewhere and disputes the link that has it', () => {
    const admission = judge({}, {}, [
      { key: 'here', address: '10.0.0.1' },
      { key: 'there', address: '10.0.0.2' },
    ]);
    assert.ok(!admission.admit && admission.code === 'duplicate');
    assert.deepEqual(admission.disputes, ['there']);
    assert.match(admission.text, /10\.0\.0\.2/);
  });

  it('takes nobody while it stops, whoever asks', () => {
    assert.equal(code({ versionMin: 5, versionMax: 5 }, { stopping: true }), 'stopping');
  });
});
