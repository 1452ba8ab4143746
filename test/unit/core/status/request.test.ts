import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeStatusRequest, type StatusRequest } from '../../../../src/core/status/request.js';

const judge = (changes: Partial<StatusRequest> = {}) =>
  judgeStatusRequest({
    method: 'GET',
    target: '/metrics',
    host: 'localhost:9187',
    peer: '127.0.0.1',
    hasBody: false,
    ...changes,
  });
const refused = (changes: Partial<StatusRequest>): number | undefined => {
  const verdict = judge(changes);
  return 'refusal' in verdict ? verdict.refusal : undefined;
};

describe('a request to status_port', () => {
  it('is answered for GET and HEAD of a known path, whatever its query', () => {
    assert.deepEqual(judge(), { document: 'metrics' });
    assert.deepEqual(judge({ method: 'HEAD', target: '/?x=/status' }), { document: 'page' });
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'get'])
      assert.equal(refused({ method }), 405);
    for (const target of [
      '/metrics/',
      '//',
      '/../status',
      '/constructor',
      '*',
      'http://localhost/metrics',
      '',
    ]) {
      assert.equal(refused({ target }), 404, target);
    }
  });

  it('has to name this host, by whatever port: another name is another site', () => {
    for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1:9187', '[::1]:9187', '[::1]']) {
      assert.equal(refused({ host }), undefined, host);
    }
    for (const host of [
      undefined,
      '',
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example:80',
      '0.0.0.0',
    ]) {
      assert.equal(refused({ host }), 421, host);
    }
  });

  it('has to come from this host', () => {
    for (const peer of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
      assert.equal(refused({ peer }), undefined);
    for (const peer of ['192.0.2.1', '::ffff:192.0.2.1', '', '2001:db8::127.0.0.1'])
      assert.equal(refused({ peer }), 403);
  });

  it('has no body', () => assert.equal(refused({ hasBody: true }), 413));
});
