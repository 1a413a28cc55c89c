/** How the server carries a query out, drawn as a tree: what happens last stands on top. */
import { html, nothing } from '../vendor/lit-html.js';
import { openDialog } from './dialog.js';
import { count, fact, milliseconds } from './ui.js';

const MEANINGS = {
  COUNT: 'counts what was found',
  RECORD_STORE_FAST_COUNT: 'knows the number without reading',
  UPDATE: 'would change what was found',
  DELETE: 'would delete what was found',
  COLLSCAN: 'reads every document',
  IXSCAN: 'reads an index',
  FETCH: 'reads the documents that were found',
  SORT: 'sorts in memory',
  OR: 'puts what several indexes give together',
  AND_SORTED: 'keeps what both indexes give',
};

export const showPlan = (explained) => openDialog({
  title: 'How this query runs',
  wide: true,
  testid: 'explain-dialog',
  body: () => planView(explained),
});

/** `explained` is the server's `explain`: `queryPlanner` and perhaps `executionStats`. */
export function planView({ queryPlanner: { winningPlan, rejectedPlans }, executionStats: stats }) {
  return html`
    ${stats ? html`<dl class="facts">
      ${fact('Returned', count(stats.nReturned), 'explain-returned')}
      ${fact('Keys examined', count(stats.totalKeysExamined), 'explain-keys')}
      ${fact('Documents examined', count(stats.totalDocsExamined), 'explain-documents')}
      ${fact('Time', milliseconds(stats.executionTimeMillis), 'explain-time')}</dl>` : nothing}
    <ul class="plan" data-testid="explain-plan">${stage(winningPlan)}</ul>
    ${rejectedPlans?.length ? html`<details><summary>Other plans that were weighed</summary>
      ${rejectedPlans.map((plan) => html`<ul class="plan">${stage(plan)}</ul>`)}</details>` : nothing}`;
}

function stage(plan) {
  const inputs = plan.inputStages ?? (plan.inputStage ? [plan.inputStage] : []);
  return html`<li data-testid="plan-stage" data-stage=${plan.stage}>
    <p><b>${plan.stage}</b> <span class="muted">${MEANINGS[plan.stage] ?? ''}</span>
      ${plan.covered ? html`<span class="tag">from the index alone</span>` : nothing}
      ${plan.estimatedReads === undefined ? nothing
        : html`<span class="tag">about ${count(plan.estimatedReads)} reads</span>`}</p>
    ${plan.indexName ? indexUse(plan) : nothing}
    ${inputs.length ? html`<ul>${inputs.map(stage)}</ul>` : nothing}</li>`;
}

const indexUse = (plan) => html`
  <p><code data-testid="plan-index">${plan.indexName}</code>
    ${plan.direction === 'backward' ? 'from its end' : nothing}
    ${plan.isMultiKey ? html`<span class="tag">multikey</span>` : nothing}</p>
  ${Object.entries(plan.indexBounds ?? {}).map(([field, intervals]) => html`
    <p class="bounds"><code>${field}</code> in <code>${[intervals].flat().join(', ')}</code></p>`)}`;
