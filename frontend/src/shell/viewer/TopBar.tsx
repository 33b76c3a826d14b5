import * as Menu from "@radix-ui/react-dropdown-menu";
import {
	ArrowUpRight,
	ChevronDown,
	ChevronLeft,
	Circle,
	Contrast,
	Crosshair,
	FlipHorizontal2,
	FlipVertical2,
	Keyboard,
	type LucideIcon,
	Move,
	PanelLeft,
	Plus,
	RotateCcw,
	RotateCw,
	Ruler,
	ScanSearch,
	Search,
	Square,
	SunMoon,
	Triangle,
	Undo2,
	ZoomIn,
	Rows2,
	ClipboardList,
	FileText,
	Link2,
	Play,
	Pause,
	Type,
} from "lucide-react";
import { Link, useNavigate } from "react-router";
import { ageOf, birthWords, readableDate, readableSex } from "../../model/patient";
import type { Study } from "../../model/series";
import { TOOLS, type ToolId } from "../../tools/tool-table";
import { Tip } from "../Tip";
import { UserMenu } from "../UserMenu";
import { commandById, keyName } from "./commands";
import { DraftWords } from "./DraftWords";
import { LayoutPicker } from "./LayoutPicker";
import { useSession, useView, useViewer } from "./session-context";
import { WindowMenu } from "./WindowMenu";

const TOOL_ICONS: Readonly<Record<ToolId, LucideIcon>> = {
	window: Contrast,
	zoom: ZoomIn,
	pan: Move,
	scroll: Move,
	length: Ruler,
	bidirectional: Plus,
	angle: Triangle,
	ellipse: Circle,
	rectangle: Square,
	probe: Crosshair,
	arrow: Type,
};

function Identity({ study }: { study: Study }) {
	const { patient } = study;
	const age = ageOf(patient, study.date);
	const birth = birthWords(patient.birthDate, age);
	return (
		<div className="identity" data-testid="patient">
			<strong title={[patient.name, patient.otherName].filter(Boolean).join(" ")}>
				{patient.name}
			</strong>
			{patient.otherName && <span className="identity-other">{patient.otherName}</span>}
			<span className="identity-id" title={patient.id || undefined}>
				{patient.id || "no ID"}
			</span>
			{birth && <span>{birth}</span>}
			{readableSex(patient.sex) && <span>{readableSex(patient.sex)}</span>}
		</div>
	);
}

function studyWords(study: Study): string {
	return [readableDate(study.date), study.description || study.modalities.join(", ")]
		.filter(Boolean)
		.join(" · ");
}

/** This study and the patient's others, newest first. */
function StudyMenu({ study, priors }: { study: Study; priors: readonly Study[] }) {
	const navigate = useNavigate();
	const others = priors.filter((each) => each.studyInstanceUID !== study.studyInstanceUID);
	if (others.length === 0) return <span className="study-words">{studyWords(study)}</span>;
	return (
		<Menu.Root>
			<Tip
				label={`${others.length} other ${others.length === 1 ? "study" : "studies"} of this patient`}
			>
				<Menu.Trigger className="study-words study-menu">
					<span>{studyWords(study)}</span>
					<ChevronDown size={14} aria-hidden="true" />
				</Menu.Trigger>
			</Tip>
			<Menu.Portal>
				<Menu.Content className="menu" align="start" sideOffset={4} style={{ minWidth: 320 }}>
					<Menu.Label className="menu-label">Studies of this patient</Menu.Label>
					{priors.map((each) => (
						<Menu.Item
							className="menu-item"
							key={each.studyInstanceUID}
							disabled={each.studyInstanceUID === study.studyInstanceUID}
							onSelect={() => navigate(`/viewer/${encodeURIComponent(each.studyInstanceUID)}`)}
						>
							{studyWords(each)}
							<span className="menu-end">{each.modalities.join(" ")}</span>
						</Menu.Item>
					))}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}

function CommandButton({
	id,
	icon: Icon,
	pressed,
}: {
	id: string;
	icon: LucideIcon;
	pressed?: boolean;
}) {
	const session = useSession();
	const command = commandById(id);
	if (!command) return null;
	return (
		<Tip label={command.label} keys={command.keys[0] && keyName(command.keys[0])}>
			<button
				type="button"
				className="icon-button"
				aria-label={command.label}
				aria-pressed={pressed}
				onClick={() => command.run(session)}
			>
				<Icon size={16} />
			</button>
		</Tip>
	);
}

function ToolButtons() {
	const { tool } = useViewer();
	return (
		<div className="tool-group" role="toolbar" aria-label="Tools">
			{TOOLS.map(({ id }) => (
				<span className="tool-slot" key={id}>
					<CommandButton
						id={`tool-${id}`}
						icon={id === "arrow" ? ArrowUpRight : TOOL_ICONS[id]}
						pressed={tool === id}
					/>
					{id === "window" && <WindowMenu />}
				</span>
			))}
		</div>
	);
}

/** Things done to the image that are rarer than a key press: in one menu. */
function ImageMenu() {
	const session = useSession();
	const rows: readonly (readonly [string, LucideIcon])[] = [
		["invert", SunMoon],
		["flip-horizontal", FlipHorizontal2],
		["flip-vertical", FlipVertical2],
		["rotate-left", RotateCcw],
		["rotate-right", RotateCw],
		["undo", Undo2],
	];
	return (
		<Menu.Root>
			<Tip label="Turn, flip, invert">
				<Menu.Trigger className="icon-button" aria-label="Turn, flip, invert">
					<RotateCw size={16} />
				</Menu.Trigger>
			</Tip>
			<Menu.Portal>
				<Menu.Content className="menu" align="start" sideOffset={4}>
					{rows.map(([id, Icon]) => {
						const command = commandById(id);
						return (
							command && (
								<Menu.Item className="menu-item" key={id} onSelect={() => command.run(session)}>
									<Icon size={16} /> {command.label}
									<span className="menu-end">
										<kbd>{keyName(command.keys[0] ?? "")}</kbd>
									</span>
								</Menu.Item>
							)
						);
					})}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}

function CineButton() {
	const session = useSession();
	const playing = useView(session.activeView)?.playing ?? false;
	return <CommandButton id="cine" icon={playing ? Pause : Play} pressed={playing} />;
}

export function TopBar() {
	const { study, priors, strip, panel, synchronised, referenceLines } = useViewer();
	return (
		<header className="top-bar">
			<Tip label="Study list">
				<Link to="/" className="icon-button" aria-label="Study list">
					<ChevronLeft size={18} />
				</Link>
			</Tip>
			{study ? (
				<>
					<Identity study={study} />
					<StudyMenu study={study} priors={priors} />
				</>
			) : (
				<div className="identity" />
			)}
			<div className="top-space" />
			<DraftWords />
			<div className="tools-row">
				<ToolButtons />
				<div className="tool-group">
					<ImageMenu />
					<CommandButton id="reset" icon={ScanSearch} />
					<CineButton />
					<CommandButton id="synchronise" icon={Link2} pressed={synchronised} />
					<CommandButton id="reference-lines" icon={Rows2} pressed={referenceLines} />
				</div>
				<div className="tool-group">
					<LayoutPicker />
					<CommandButton id="strip" icon={PanelLeft} pressed={strip} />
					<CommandButton
						id="measurements"
						icon={ClipboardList}
						pressed={panel === "measurements"}
					/>
					<CommandButton id="header" icon={FileText} pressed={panel === "header"} />
				</div>
				<div className="tool-group">
					<CommandButton id="palette" icon={Search} />
					<CommandButton id="keys" icon={Keyboard} />
					<UserMenu />
				</div>
			</div>
		</header>
	);
}
