package action

import "errors"

var errNoAction = errors.New("no action: name one of the blueprint's actions, then the target, or an ActionSet with -f")

const backupLong = `Back up an application with the backup action of a Kanister blueprint, in the cluster, with nothing installed there.

The target is named as kubectl names objects: a workload (deploy/foo, sts/foo), a volume (pvc/foo), a namespace (ns/foo), or any
other object that the blueprint understands. Without a blueprint the built-in one backs up the volumes: from a CSI snapshot where
the driver can, otherwise from the live volume, and then it says so and counts the files that changed under it.

WHAT IT NEEDS
  A profile, which says where data goes ('kubectl kanister profile create'), if the blueprint stores any. The rights to create
  Jobs, Secrets, ConfigMaps, ServiceAccounts, Roles and RoleBindings in the target's namespace, and every right that the run's
  Role grants; --dry-run lists them. What is missing is printed as a Role, before anything is created. The runner image must be
  pullable in the cluster (--runner-image).

WHAT IT LEAVES BEHIND
  The run record, a ConfigMap named as the run: state, phases, artifacts, errors, the blueprint. Restores need it. The Job with its
  pods, Role and input Secret goes --ttl after its end. The run goes on without this command: Ctrl-C only detaches.

HOW IT FAILS
  A failed phase ends the run: later phases are skipped, the blueprint's deferPhase runs, what was scaled down comes back. The
  message names phase, function, cause, the pod's last lines and the next command.
`

const backupExample = `  # A StatefulSet's volumes, to the namespace's default profile
  kubectl kanister backup sts/postgres

  # With a blueprint of one's own and an option for it
  kubectl kanister backup deploy/shop --blueprint ./shop.yaml --profile s3 --option database=orders

  # Every PVC with a label, without waiting
  kubectl kanister backup pvc -l app=web --detach

  # The driver cannot take snapshots: stop the workload while its volumes are read
  kubectl kanister backup deploy/files --quiesce=scale-down

  # What would happen, with which rights; and the same run by kubectl
  kubectl kanister backup sts/postgres --dry-run
  kubectl kanister backup sts/postgres --dry-run -o yaml | kubectl apply -f -`

const restoreLong = `Restore an application from what a backup has left.

--from names the finished run. Its artifacts, blueprint, profile and target are used, each unless you name another: a target on
the command line is where the data goes. A run that is not complete, or was deleted, is refused.

WHAT IT NEEDS
  The run record of the backup (or an ActionSet, or either in a file), its profile, and the rights that --dry-run lists.

WHAT IT LEAVES BEHIND
  The run record. The target as the blueprint's restore action leaves it.

HOW IT FAILS
  A restore is refused while another run works on the same target. If a phase fails before anything was written, a workload that
  was scaled down comes back; if its volumes are half restored it stays down. The message says which; the same restore can be
  run again: a blueprint that names the target's pods then sees those that the run before has stopped.
`

const restoreExample = `  # Back to where it came from
  kubectl kanister restore --from backup-postgres-7f3k2

  # The newest complete backup of this target; it may be left out where only one target has backups
  kubectl kanister restore sts/postgres --from latest

  # Onto another target
  kubectl kanister restore sts/postgres-test --from backup-postgres-7f3k2

  # From an ActionSet of an upstream Kanister installation
  kubectl kanister restore deploy/shop --from actionset/backup-xyz`

const deleteLong = `Delete what a backup has stored, with the delete action of its blueprint.

The data goes, the backup's run record stays; 'restore' and 'delete' refuse it from then on. Unless a target is named, the
action works on the target's namespace, as upstream's blueprints expect, or on the recorded target if the blueprint reads it.

WHAT IT NEEDS
  The run record of the backup, its profile, and the rights that --dry-run lists.

WHAT IT LEAVES BEHIND
  The run record of the deletion. Space in a repository comes back with its next maintenance.

HOW IT FAILS
  As every run. Data that is gone from the location already is no error.
`

const deleteExample = `  # What this backup has stored
  kubectl kanister delete --from backup-postgres-7f3k2

  # What would be deleted
  kubectl kanister delete --from backup-postgres-7f3k2 --dry-run`

const runLong = `Run any action of a blueprint on a target. 'run backup', 'run restore' and 'run delete' are what the commands of these names do.

With -f alone it runs the actions of ActionSets as upstream's controller would, each as a run of its own with its own record. All
are planned and checked first; then they run one after another, up to the first that fails (--parallel: all at once). Blueprint,
Profile and RepositoryServer are found by their names in the same file, then in the ActionSet's namespace. Flags beat the file.

WHAT IT NEEDS
  A blueprint that has the action; a profile if the action reads one; the rights that --dry-run lists.

WHAT IT LEAVES BEHIND
  The run record, a ConfigMap named as the run. The Job with its pods, Role and input Secret goes --ttl after its end.

HOW IT FAILS
  A failed phase ends the run: later phases are skipped, the blueprint's deferPhase runs, what was scaled down comes back, unless
  its volumes are half restored.
`

const runExample = `  # An action that a blueprint of one's own calls vacuum
  kubectl kanister run vacuum sts/postgres --blueprint ./postgres.yaml

  # An action that works on what a backup has left
  kubectl kanister run verify sts/postgres --from backup-postgres-7f3k2

  # The actions of an ActionSet, one after another
  kubectl kanister run -f actionset.yaml

  # The same with a blueprint that is not in the cluster, all at once
  kubectl kanister run -f actionset.yaml -f blueprint.yaml --parallel`

const exitStatus = `
EXIT STATUS
  0    done
  1    this tool could not do its work
  2    the command line, a file or a name is wrong; nothing was created
  3    the run failed or was cancelled
  4    of several targets some failed
  5    still running at --timeout; the run goes on
  6    you lack permissions; nothing was created
  130  interrupted: detached, the run goes on`
