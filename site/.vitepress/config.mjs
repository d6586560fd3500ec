import { readdirSync } from 'node:fs'
import { posix } from 'node:path'
import { defineConfig } from 'vitepress'

const repository = 'https://github.com/mooring-dev/mooring'
const page = (text, link) => ({ text, link })
const rules = readdirSync(new URL('../rules', import.meta.url)).filter(f => f.endsWith('.md') && f !== 'README.md')

export default defineConfig({
  title: 'Mooring',
  description: 'Keeps stateful workloads safe on Kubernetes',
  cacheDir: '../bin/site-cache',
  // README.md of a folder is its first page, as on GitHub.
  rewrites: { 'README.md': 'index.md', 'rules/README.md': 'rules/index.md' },
  cleanUrls: false,
  // A link that leads nowhere fails the build. Links to anything but a page lead to the repository.
  ignoreDeadLinks: false,
  markdown: {
    config(md) {
      md.core.ruler.push('repository-links', state => {
        for (const token of state.tokens.flatMap(block => block.children ?? [])) {
          const href = token.type === 'link_open' && token.attrGet('href')
          if (!href || /^([a-z]+:|#|\/)/.test(href)) continue
          const file = posix.join('docs', posix.dirname(state.env.relativePath), href)
          if (!/^docs\/.*\.md(#|$)/.test(file)) token.attrSet('href', `${repository}/blob/main/${file}`)
        }
      })
    }
  },
  themeConfig: {
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
    editLink: { pattern: `${repository}/edit/main/docs/:path` },
    nav: [page('Quick start', '/quickstart'), page('How it decides', '/concepts'), page('Rules', '/rules/'), page('Troubleshooting', '/troubleshooting')],
    sidebar: [
      { text: 'Tutorial', items: [page('Quick start', '/quickstart'), page('A walk', '/walk')] },
      {
        text: 'How-to', items: [page('Policies', '/policies'), page('Check manifests', '/check'), page('Fix manifests', '/fix'), page('CI', '/ci'),
          page('Test policies', '/test'), page('Audit a cluster', '/audit'), page('Replay an audit log', '/replay'), page('Install and upgrade', '/operating/install'),
          page('Run Mooring', '/operating/running'), page('Emergency', '/operating/emergency'), page('Custom resources that own data', '/operating/owners'), page('Monitor', '/operating/monitoring'), page('Certificates', '/operating/certificates'),
          page('Security', '/operating/security'), page('Native fallback', '/operating/native-fallback'), page('Troubleshooting', '/troubleshooting'), page('Add a rule', '/development')]
      },
      {
        text: 'Reference', items: [page('Output formats', '/output'), page('Compatibility', '/compatibility'), page('Versions', '/versioning'), page('Rules', '/rules/')]
      },
      { text: 'Rules', collapsed: true, items: rules.map(f => page(f.slice(0, -3), `/rules/${f.slice(0, -3)}`)) },
      {
        text: 'Explanation', items: [page('How Mooring decides', '/concepts'), page('Comparison', '/comparison'), page('Questions', '/faq'), page('Threat model', '/operating/threat-model'),
          page('Accidents', '/measurements/accidents'), page('Reported cases', '/measurements/live-cases'), page('Faults', '/measurements/faults'), page('Other programs', '/measurements/compatibility'), page('Shapes of repositories', '/measurements/shapes'), page('Performance', '/measurements/performance'), page('Large namespaces', '/measurements/growth'), page('Measured', '/measurements/measured')]
      }
    ]
  }
})
