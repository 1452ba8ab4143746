import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { CONMGR_MESSAGES } from '../../../../src/core/messages/conmgr.js';
import { CONMGR_METRICS } from '../../../../src/core/status/conmgr-metrics.js';
import { EventLog } from '../../../../src/core/status/event-log.js';
import { WATCHDOG_METRICS } from '../../../../src/core/status/watchdog-metrics.js';
import { inTree } from '../../../support/tree.js';

const known = new Map([...CONMGR_METRICS, ...WATCHDOG_METRICS].map(({ name, labels }) => [name, labels]));
const { events } = new EventLog([CONMGR_MESSAGES]).counts;

for (const file of ['docs/prometheus/conmgr.rules.yml', 'docs/grafana/conmgr.json']) {
  describe(file, () => {
    const text = readFileSync(inTree(file), 'utf8').replaceAll('\\"', '"');

    it('names metrics that there are, and labels that they have', () => {
      const names = [...text.matchAll(/\b(conmgr_[a-z_]+)(?:\{([^}]*)\})?/g)];
      assert.ok(names.length > 15);
      for (const [, name = '', matchers = ''] of names) {
        const labels = known.get(name);
        assert.ok(labels, `there is no ${name}`);
        for (const [, label = ''] of matchers.matchAll(/(\w+)=~?"/g)) {
          assert.ok([...labels, 'job', 'instance'].includes(label), `${name} has no label ${label}`);
        }
      }
    });

    it('names events that there are', () => {
      const named = [...text.matchAll(/event="(\w+)"/g)];
      assert.ok(named.length > 0);
      for (const [, event = ''] of named) assert.ok(events.has(event), event);
    });
  });
}

it('the dashboard has panels that do not overlap, each with a query and a name of its own', () => {
  const { panels, uid } = JSON.parse(readFileSync(inTree('docs/grafana/conmgr.json'), 'utf8')) as {
    uid: string;
    panels: {
      id: number;
      type: string;
      targets?: { expr: string }[];
      gridPos: { x: number; y: number; w: number; h: number };
    }[];
  };
  assert.equal(uid, 'conmgr');
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { type, targets = [], gridPos } of panels) {
    assert.equal(targets.length > 0, type !== 'row');
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x},${y}`), `${x},${y} is taken`);
        taken.add(`${x},${y}`);
      }
    }
  }
});
