import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { filesBelow, pathPattern, patternLines, splitTree } from '../../../packaging/packages/split-tree.js';
import { withTraces } from '../../../packaging/packages/traces.js';
import { inTree, temporaryDirectory } from '../../support/tree.js';

function treeOf(...paths: string[]): string {
  const tree = temporaryDirectory();
  for (const path of paths) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    if (path.includes('/bin/')) symlinkSync('../elsewhere', join(tree, path));
    else writeFileSync(join(tree, path), path);
  }
  return tree;
}

describe('the list that cuts the installed tree in two', () => {
  it('has stars for parts of a name, and double stars for any number of directories', () => {
    const matches = (line: string, path: string): boolean => pathPattern(line).test(path);
    assert.equal(matches('/a/*.b', '/a/c.b'), true);
    assert.equal(matches('/a/*.b', '/a/c/d.b'), false);
    assert.equal(matches('/a/**/b*', '/a/b1'), true);
    assert.equal(matches('/a/**/b*', '/a/x/y/b1'), true);
    assert.equal(matches('/a/**/b*', '/a/xb'), false);
    assert.equal(matches('/a.b', '/aXb'), false);
    assert.equal(matches('/a', '/a/b'), false);
  });

  it('moves what it names, links too, and leaves the rest to the other', () => {
    const tree = treeOf('usr/bin/one', 'usr/bin/two', 'usr/share/x/two.js');
    const [first, second] = [join(tree, '1'), join(tree, '2')];
    splitTree(join(tree, 'usr'), '# of two\n/bin/two\n\n/**/two*\n', first, second);
    assert.deepEqual(filesBelow(first, ''), ['/bin/one']);
    assert.deepEqual(filesBelow(second, ''), ['/bin/two', '/share/x/two.js']);
  });

  it('names a line that matches nothing', () => {
    const tree = treeOf('usr/one');
    assert.throws(
      () => splitTree(join(tree, 'usr'), '/one\n/gone\n', join(tree, '1'), join(tree, '2')),
      /matches the line \/gone$/,
    );
  });

  it('is the one of the tree', () => {
    const lines = patternLines(readFileSync(inTree('packaging/packages/conmgr-watchdog.files'), 'utf8'));
    assert.ok(lines.length > 3);
    for (const line of lines) assert.match(line, /^\/usr\//);
  });
});

describe('the text that removes the traces of instances', () => {
  it('takes the place of its line, indented as it is, and names the template', () => {
    const script = 'if x; then\n\t@TRACES conmgr@@\nfi\n';
    const traces = '## about\nrm @TEMPLATE@*\n\ndone\n';
    assert.equal(withTraces(script, traces), 'if x; then\n\trm conmgr@*\n\n\tdone\nfi\n');
  });

  it('is missed where there is no line for it', () => {
    assert.throws(() => withTraces('exit 0\n', 'rm x\n'), /no place/);
  });
});
