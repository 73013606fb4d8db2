import type { Profile, WorkflowSeed } from "./types.js";

const CONTRACT: WorkflowSeed[] = [
  {
    name: "architect",
    description: "Design system architecture and technical specifications",
    displayName: "Architect",
    category: "design",
    emoji: "🏛️",
    suggestedTurns: 30,
    capabilities: ["architecture", "specifications"],
  },
  {
    name: "implement",
    description: "Implement features from a design or a plain request",
    displayName: "Implement",
    category: "creation",
    emoji: "🔨",
    suggestedTurns: 50,
    capabilities: ["feature-development", "code-generation"],
  },
  {
    name: "test",
    description: "Create test suites and validate behaviour",
    displayName: "Test",
    category: "quality",
    emoji: "🧪",
    suggestedTurns: 30,
    capabilities: ["unit-tests", "integration-tests"],
  },
  {
    name: "review",
    description: "Review code and assess its quality",
    displayName: "Review",
    category: "quality",
    emoji: "🔍",
    suggestedTurns: 20,
    capabilities: ["code-review"],
  },
  {
    name: "fix",
    description: "Find the cause of a defect and fix just that",
    displayName: "Fix",
    category: "maintenance",
    emoji: "🔧",
    suggestedTurns: 20,
    capabilities: ["debugging", "bug-fixing"],
  },
  {
    name: "refactor",
    description: "Improve the structure of code without changing what it does",
    displayName: "Refactor",
    category: "maintenance",
    emoji: "♻️",
    suggestedTurns: 40,
    capabilities: ["restructuring"],
  },
  {
    name: "document",
    description: "Write documentation for people who use or change the code",
    displayName: "Document",
    category: "documentation",
    emoji: "📚",
    suggestedTurns: 20,
    capabilities: ["guides", "reference"],
  },
];

function shipped(
  name: string,
  description: string,
  displayName: string,
  category: string,
  look: { icon: string; mainColour: string; emoji: string },
  suggestedTurns: number,
  capabilities: string,
): WorkflowSeed {
  return {
    name,
    description,
    displayName,
    category,
    ...look,
    suggestedTurns,
    capabilities: capabilities.split(" "),
  };
}

// What the public server lists right after installation, in its order (recorded: manage-list.json).
const AUTOMAGIK: WorkflowSeed[] = [
  shipped(
    "brain",
    "Intelligence orchestrator and knowledge management",
    "Brain - Knowledge Orchestrator",
    "analysis",
    { icon: "Bot", mainColour: "#3B82F6", emoji: "🤖" },
    50,
    "knowledge_search pattern_analysis memory_synthesis team_preference_analysis intelligence_delivery learning_storage",
  ),
  shipped(
    "builder",
    "Implementation specialist with full development capabilities",
    "Builder - Implementation Specialist",
    "creation",
    { icon: "Hammer", mainColour: "#3B82F6", emoji: "🔨" },
    100,
    "feature-development code-generation api-implementation database-design refactoring",
  ),
  shipped(
    "genie",
    "Self-improving architect and orchestrator consciousness",
    "Genie - Master Orchestrator",
    "improvement",
    { icon: "Sparkles", mainColour: "#A855F7", emoji: "🧞" },
    150,
    "self-improvement workflow-orchestration architecture-design autonomous-planning meta-programming",
  ),
  shipped(
    "shipper",
    "Deployment and packaging specialist",
    "Shipper - Deployment Specialist",
    "maintenance",
    { icon: "Rocket", mainColour: "#F59E0B", emoji: "🚀" },
    40,
    "deployment release-management ci-cd environment-setup rollback-strategies",
  ),
  shipped(
    "surgeon",
    "Precision bug fixing and debugging specialist",
    "Surgeon - Bug Fix Specialist",
    "maintenance",
    { icon: "Stethoscope", mainColour: "#EF4444", emoji: "🔧" },
    50,
    "bug-fixing debugging issue-resolution performance-optimization error-analysis",
  ),
  shipped(
    "guardian",
    "Quality assurance and security specialist",
    "Guardian - Quality Assurance",
    "security",
    { icon: "Shield", mainColour: "#10B981", emoji: "🛡️" },
    75,
    "testing validation quality-checks security-review performance-analysis",
  ),
  shipped(
    "lina",
    "Linear integration and project management specialist",
    "Lina - Project Management",
    "system",
    { icon: "CheckSquare", mainColour: "#6366F1", emoji: "📋" },
    30,
    "linear-integration task-tracking project-coordination status-updates milestone-management",
  ),
  shipped(
    "flashinho_thinker",
    "Um assistente pensador com personalidade única",
    "Flashinho Thinker",
    "custom",
    { icon: "Zap", mainColour: "#FBBF24", emoji: "⚡" },
    50,
    "portuguese-language creative-thinking personality-driven web-search code-assistance",
  ),
];

// The public server's folders in the order its file system gave them: its refusal of an unknown workflow lists
// the database's names and then the folders' (recorded: run-unknown-workflow-404.json).
const FOLDERS = ["guardian", "genie", "surgeon", "flashinho_thinker", "builder", "brain", "lina", "shipper"];

/** The workflows a profile starts out with. */
export function defaultWorkflows(profile: Profile): WorkflowSeed[] {
  return structuredClone(profile === "contract" ? CONTRACT : AUTOMAGIK);
}

/** The API's refusal of a workflow that it does not have, each profile in its own words. */
export function unknownWorkflow(profile: Profile, name: string, names: string[]): string {
  const available =
    profile === "contract" ? names : [...names, ...FOLDERS.filter((folder) => names.includes(folder))];
  return `Workflow '${name}' not found. Available: [${available.map((item) => `'${item}'`).join(", ")}]`;
}
