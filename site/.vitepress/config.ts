import { defineConfig } from 'vitepress';

// `pages` is a copy of docs/: beside their packages pages are found by Vite, above them they are not. A dead link fails the build.
export default defineConfig({
  srcDir: 'pages',
  outDir: '../build/site',
  title: 'metallb-ts',
  description: 'The load balancer that bare-metal Kubernetes lacks',
  lastUpdated: false,
  cleanUrls: true,
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Quick starts', link: '/quick-starts/' },
      { text: 'Reference', link: '/fields' },
    ],
    sidebar: [
      {
        text: 'Get started',
        items: [
          { text: 'Concepts', link: '/concepts' },
          { text: 'Quick starts', link: '/quick-starts/' },
          { text: 'k3s', link: '/quick-starts/k3s' },
          { text: 'microk8s', link: '/quick-starts/microk8s' },
          { text: 'kubeadm', link: '/quick-starts/kubeadm' },
          { text: 'Flux', link: '/quick-starts/flux' },
          { text: 'Raspberry Pi', link: '/quick-starts/raspberry-pi' },
          { text: 'BGP with pfSense', link: '/quick-starts/pfsense' },
        ],
      },
      {
        text: 'Operate',
        items: [
          { text: 'Install', link: '/install' },
          { text: 'Migration', link: '/migration' },
          { text: 'Upgrading', link: '/upgrade' },
          { text: 'Security', link: '/security' },
          { text: 'Troubleshooting', link: '/troubleshooting' },
        ],
      },
      {
        text: 'Reference',
        items: [
          { text: 'Every field', link: '/fields' },
          { text: 'BGP and BFD', link: '/bgp' },
          { text: 'Metrics', link: '/metrics' },
          { text: 'Compatibility', link: '/compatibility' },
          { text: 'Behaviour', link: '/behaviour/' },
          { text: 'Benchmarks', link: '/benchmarks' },
          { text: 'Documents by users', link: '/seeds' },
          { text: 'Architecture', link: '/architecture' },
          { text: 'Testing', link: '/testing' },
        ],
      },
      {
        text: 'Behaviour',
        collapsed: true,
        items: [
          { text: 'Resources', link: '/behaviour/resources' },
          { text: 'Addresses', link: '/behaviour/addresses' },
          { text: 'Allocation', link: '/behaviour/allocation' },
          { text: 'Events', link: '/behaviour/events' },
          { text: 'Status objects', link: '/behaviour/status' },
          { text: 'Layer 2', link: '/behaviour/layer2' },
          { text: 'BGP decisions', link: '/behaviour/bgp' },
          { text: 'Metrics and health', link: '/behaviour/metrics' },
          { text: 'Flags', link: '/behaviour/flags' },
          { text: 'Webhooks', link: '/behaviour/webhooks' },
          { text: 'ConfigMap', link: '/behaviour/config-map' },
          { text: 'Manifests', link: '/behaviour/manifests' },
        ],
      },
    ],
  },
});
