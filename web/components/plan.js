/** The plan of a query as a tree; the last stage is at the top. */
import { html, nothing } from '../vendor/lit-html.js';
import { openDialog } from './dialog.js';
import { count, fact, milliseconds } from './ui.js';

const MEANINGS = {
  COUNT: 'counts the results',
  RECORD_STORE_FAST_COUNT: 'uses the stored number of documents',
  UPDATE: 'would update the matching documents',
  DELETE: 'would delete the matching documents',
  COLLSCAN: 'scans the whole collection',
  IXSCAN: 'scans an index',
  FETCH: 'reads the documents',
  SORT: 'sorts in memory',
  OR: 'unites the results of several indexes',
  AND_SORTED: 'intersects the results of two indexes',
};

export const showPlan = (explained) => openDialog({
  title: 'Query plan',
  wide: true,
  testid: 'explain-dialog',
  body: () => planView(explained),
});

/** `explained` is the `explain` of an answer: `queryPlanner` and, if executed, `executionStats`. */
export function planView({ queryPlanner: { winningPlan, rejectedPlans }, executionStats: stats }) {
  return html`
    ${stats ? html`<dl class="facts">
      ${fact('Returned', count(stats.nReturned), 'explain-returned')}
      ${fact('Keys examined', count(stats.totalKeysExamined), 'explain-keys')}
      ${fact('Documents examined', count(stats.totalDocsExamined), 'explain-documents')}
      ${fact('Time', milliseconds(stats.executionTimeMillis), 'explain-time')}</dl>` : nothing}
    <ul class="plan" data-testid="explain-plan">${stage(winningPlan)}</ul>
    ${rejectedPlans?.length ? html`<details><summary>Rejected plans</summary>
      ${rejectedPlans.map((plan) => html`<ul class="plan">${stage(plan)}</ul>`)}</details>` : nothing}`;
}

function stage(plan) {
  const inputs = plan.inputStages ?? (plan.inputStage ? [plan.inputStage] : []);
  return html`<li data-testid="plan-stage" data-stage=${plan.stage}>
    <p><b>${plan.stage}</b> <span class="muted">${MEANINGS[plan.stage] ?? ''}</span>
      ${plan.covered ? html`<span class="tag">covered by the index</span>` : nothing}
      ${plan.estimatedReads === undefined ? nothing
        : html`<span class="tag">about ${count(plan.estimatedReads)} reads</span>`}</p>
    ${plan.indexName ? indexUse(plan) : nothing}
    ${inputs.length ? html`<ul>${inputs.map(stage)}</ul>` : nothing}</li>`;
}

const indexUse = (plan) => html`
  <p><code data-testid="plan-index">${plan.indexName}</code>
    ${plan.direction === 'backward' ? 'backward' : nothing}
    ${plan.isMultiKey ? html`<span class="tag">multikey</span>` : nothing}</p>
  ${Object.entries(plan.indexBounds ?? {}).map(([field, intervals]) => html`
    <p class="bounds"><code>${field}</code> in <code>${[intervals].flat().join(', ')}</code></p>`)}`;
