import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  conmgrDescriptors,
  connectionsAllowed,
  instanceDescriptors,
  watchdogDescriptors,
} from '../../src/core/config/descriptors.js';

describe('file descriptors', () => {
  it('conmgr needs at least 9 + 2 x instances + max_connections', () => {
    assert.deepEqual(conmgrDescriptors(3, 100), {
      figure: 115,
      formula: '9 + 2 x 3 instances + 100 max_connections = 115',
    });
  });

  it('an instance with its watchdog needs at least max_files_per_process + 2 x watchdog.max_heartbeat_connections', () => {
    assert.deepEqual(instanceDescriptors(1000, 100), {
      figure: 1200,
      formula: '1000 max_files_per_process + 2 x 100 watchdog.max_heartbeat_connections = 1200',
    });
  });

  it('the watchdog itself needs 50 + max_heartbeat_connections', () => {
    assert.deepEqual(watchdogDescriptors(100), {
      figure: 150,
      formula: '50 + 100 max_heartbeat_connections = 150',
    });
  });

  it('a status_port takes 18: two listeners and 16 connections', () => {
    assert.deepEqual(conmgrDescriptors(3, 100, 9187), {
      figure: 133,
      formula: '9 + 2 x 3 instances + 100 max_connections + 18 for status_port = 133',
    });
    assert.deepEqual(watchdogDescriptors(100, 9187), {
      figure: 168,
      formula: '50 + 100 max_heartbeat_connections + 18 for status_port = 168',
    });
    assert.equal(connectionsAllowed(1024, 2, 1, 9187), 993);
  });

  it('with max_connections = 0 the limit tells how many application connections it allows', () => {
    assert.equal(connectionsAllowed(1024, 2), 1011);
    assert.equal(connectionsAllowed(10, 2), 0);
  });

  it('a gateway session takes two descriptors', () => {
    assert.equal(connectionsAllowed(1024, 2, 2), 505);
  });
});
