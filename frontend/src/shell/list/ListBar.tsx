import * as Dialog from "@radix-ui/react-dialog";
import * as Menu from "@radix-ui/react-dropdown-menu";
import { Columns3, Keyboard, Moon, PanelRight, Settings, Sun, Upload, User } from "lucide-react";
import { type Session, signOut } from "../../dicomweb/studies";
import { COLUMNS } from "./columns";
import { LIST_KEYS } from "./useListKeys";

interface Props {
	session: Session | undefined;
	count: string;
	offline: boolean;
	newStudies: number;
	onShowNew: () => void;
	columns: string[];
	onColumns: (columns: string[]) => void;
	panelOpen: boolean;
	onPanel: () => void;
	onChooseFiles: () => void;
	keysOpen: boolean;
	onKeys: (open: boolean) => void;
	theme: string;
	onTheme: () => void;
}

/** The bar above the list: where we are, how many, and the few things to press. */
export function ListBar(props: Props) {
	const { session } = props;
	const mayStore = session?.permissions.includes("store_instances") ?? false;
	return (
		<header className="list-bar">
			<h1>Studies</h1>
			<span className="muted" aria-live="polite">
				{props.count}
			</span>
			{props.newStudies > 0 && (
				<button type="button" className="chip" aria-pressed="true" onClick={props.onShowNew}>
					{props.newStudies} new
				</button>
			)}
			{props.offline && <span className="danger">The server does not answer; trying again …</span>}
			<span className="spread" />
			{mayStore && (
				<button type="button" className="button" onClick={props.onChooseFiles}>
					<Upload size={14} aria-hidden="true" /> Add files
				</button>
			)}
			<ColumnMenu columns={props.columns} onColumns={props.onColumns} />
			<button
				type="button"
				className="icon-button"
				aria-label="Side panel"
				title="Side panel   Space"
				aria-pressed={props.panelOpen}
				onClick={props.onPanel}
			>
				<PanelRight size={16} aria-hidden="true" />
			</button>
			<button
				type="button"
				className="icon-button"
				aria-label="Keys"
				title="Keys   ?"
				onClick={() => props.onKeys(true)}
			>
				<Keyboard size={16} aria-hidden="true" />
			</button>
			<button
				type="button"
				className="icon-button"
				aria-label="Light or dark"
				title="Light or dark"
				onClick={props.onTheme}
			>
				{props.theme === "light" ? (
					<Moon size={16} aria-hidden="true" />
				) : (
					<Sun size={16} aria-hidden="true" />
				)}
			</button>
			<UserMenu session={session} />
			<KeySheet open={props.keysOpen} onOpenChange={props.onKeys} />
		</header>
	);
}

function ColumnMenu({ columns, onColumns }: Pick<Props, "columns" | "onColumns">) {
	const toggle = (id: string, on: boolean) =>
		onColumns(
			COLUMNS.map((column) => column.id).filter((each) =>
				each === id ? on : columns.includes(each),
			),
		);
	return (
		<Menu.Root>
			<Menu.Trigger className="icon-button" aria-label="Columns" title="Columns">
				<Columns3 size={16} aria-hidden="true" />
			</Menu.Trigger>
			<Menu.Portal>
				<Menu.Content className="menu" align="end" sideOffset={4}>
					{COLUMNS.map((column) => (
						<Menu.CheckboxItem
							key={column.id}
							className="menu-item"
							checked={columns.includes(column.id)}
							disabled={column.id === "patient"}
							onSelect={(event) => event.preventDefault()}
							onCheckedChange={(on) => toggle(column.id, on)}
						>
							<span className="check">{columns.includes(column.id) ? "✓" : ""}</span>
							{column.title}
						</Menu.CheckboxItem>
					))}
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}

function UserMenu({ session }: Pick<Props, "session">) {
	return (
		<Menu.Root>
			<Menu.Trigger className="icon-button" aria-label="User" title={session?.user ?? "User"}>
				<User size={16} aria-hidden="true" />
			</Menu.Trigger>
			<Menu.Portal>
				<Menu.Content className="menu" align="end" sideOffset={4}>
					<Menu.Label className="menu-label">
						{session?.full_name || session?.user || "not signed in"}
					</Menu.Label>
					{session?.staff && (
						<Menu.Item className="menu-item" asChild>
							<a href="/admin/">
								<Settings size={14} aria-hidden="true" /> Administration
							</a>
						</Menu.Item>
					)}
					<Menu.Item className="menu-item" onSelect={() => void signOut()}>
						Sign out
					</Menu.Item>
				</Menu.Content>
			</Menu.Portal>
		</Menu.Root>
	);
}

function KeySheet({
	open,
	onOpenChange,
}: {
	open: boolean;
	onOpenChange: (open: boolean) => void;
}) {
	return (
		<Dialog.Root open={open} onOpenChange={onOpenChange}>
			<Dialog.Portal>
				<Dialog.Overlay className="scrim" />
				<Dialog.Content className="dialog key-sheet" aria-describedby={undefined}>
					<Dialog.Title className="panel-title">Keys of the study list</Dialog.Title>
					<dl>
						{LIST_KEYS.map(([keys, meaning]) => (
							<div key={keys}>
								<dt>
									{keys.split(" ").map((key) => (
										<kbd key={key}>{key}</kbd>
									))}
								</dt>
								<dd>{meaning}</dd>
							</div>
						))}
					</dl>
				</Dialog.Content>
			</Dialog.Portal>
		</Dialog.Root>
	);
}
