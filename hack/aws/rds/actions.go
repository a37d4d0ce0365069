package rds

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubectl-kanister/kubectl-kanister/hack/aws/model"
)

type input map[string]any

func (in input) text(key string) string { t, _ := in[key].(string); return t }
func (in input) list(key string) []any  { l, _ := in[key].([]any); return l }
func (in input) yes(key string) bool    { b, _ := in[key].(bool); return b }

const version = "15.4"

func (s *Server) do(operation string, raw map[string]any) (map[string]any, error) {
	in := input(raw)
	fault := func(code, format string, args ...any) error {
		return s.service.Fault(operation, code, fmt.Sprintf(format, args...))
	}
	switch operation {
	case "CreateDBInstance":
		return s.createInstance(in, fault)
	case "DescribeDBInstances":
		return describe(s.instances, in.text("DBInstanceIdentifier"), "DBInstances", s.showInstance, func(id string) error { return fault("DBInstanceNotFound", "DBInstance %s not found.", id) })
	case "DescribeDBClusters":
		return describe(s.clusters, in.text("DBClusterIdentifier"), "DBClusters", s.showCluster, func(id string) error { return fault("DBClusterNotFoundFault", "DBCluster %s not found.", id) })
	case "DeleteDBInstance":
		return s.deleteInstance(in, fault)
	case "DeleteDBCluster":
		return s.deleteCluster(in, fault)
	case "CreateDBSnapshot":
		return s.snap("instance/", in.text("DBSnapshotIdentifier"), s.instances[in.text("DBInstanceIdentifier")], in, fault, "DBSnapshot")
	case "CreateDBClusterSnapshot":
		return s.snap("cluster/", in.text("DBClusterSnapshotIdentifier"), s.clusters[in.text("DBClusterIdentifier")], in, fault, "DBClusterSnapshot")
	case "DescribeDBSnapshots":
		return s.describeSnapshots("instance/", in.text("DBSnapshotIdentifier"), "DBSnapshot", "DBInstanceIdentifier", fault)
	case "DescribeDBClusterSnapshots":
		return s.describeSnapshots("cluster/", in.text("DBClusterSnapshotIdentifier"), "DBClusterSnapshot", "DBClusterIdentifier", fault)
	case "DeleteDBSnapshot":
		return s.deleteSnapshot("instance/", in.text("DBSnapshotIdentifier"), "DBSnapshot", "DBInstanceIdentifier", fault)
	case "DeleteDBClusterSnapshot":
		return s.deleteSnapshot("cluster/", in.text("DBClusterSnapshotIdentifier"), "DBClusterSnapshot", "DBClusterIdentifier", fault)
	case "RestoreDBInstanceFromDBSnapshot":
		return s.restoreInstance(in, fault)
	case "RestoreDBClusterFromSnapshot":
		return s.restoreCluster(in, fault)
	}
	return nil, &model.Error{Code: "InvalidAction", Message: operation + " is not served here", Status: 400}
}

type faults func(code, format string, args ...any) error

func describe(all map[string]*instance, id, list string, show func(*instance) map[string]any, missing func(string) error) (map[string]any, error) {
	shown := []any{}
	if id != "" {
		i := all[id]
		if i == nil {
			return nil, missing(id)
		}
		return map[string]any{list: append(shown, show(i))}, nil
	}
	for _, i := range all {
		shown = append(shown, show(i))
	}
	return map[string]any{list: shown}, nil
}

func (s *Server) showInstance(i *instance) map[string]any {
	shown := map[string]any{
		"DBInstanceIdentifier": i.id, "DBInstanceStatus": i.status, "DBInstanceClass": i.class, "Engine": i.engine, "EngineVersion": i.version,
		"MasterUsername": i.user, "AllocatedStorage": i.storage, "DeletionProtection": i.protected, "VpcSecurityGroups": memberships(i.groups), "TagList": i.tags,
		"DBParameterGroups": []any{map[string]any{"DBParameterGroupName": i.parameters, "ParameterApplyStatus": "in-sync"}},
	}
	if i.subnets != "" {
		shown["DBSubnetGroup"] = map[string]any{"DBSubnetGroupName": i.subnets}
	}
	if i.cluster != "" {
		shown["DBClusterIdentifier"] = i.cluster
	}
	server := i.server
	if c := s.clusters[i.cluster]; c != nil {
		server = c.server
	}
	// As RDS does: there is no address before the instance is there.
	if server != nil && i.status != "creating" {
		shown["Endpoint"] = map[string]any{"Address": s.host, "Port": server.port}
	}
	return shown
}

func (s *Server) showCluster(i *instance) map[string]any {
	shown := map[string]any{
		"DBClusterIdentifier": i.id, "Status": i.status, "Engine": i.engine, "EngineVersion": i.version, "MasterUsername": i.user, "Endpoint": s.host,
		"AllocatedStorage": 1, "DeletionProtection": i.protected, "VpcSecurityGroups": memberships(i.groups), "TagList": i.tags, "DBClusterParameterGroup": i.parameters,
	}
	if i.subnets != "" {
		shown["DBSubnetGroup"] = i.subnets
	}
	if i.status == "creating" {
		shown["PercentProgress"] = fmt.Sprint(i.percent)
	}
	if i.server != nil {
		shown["Port"] = i.server.port
	}
	members := []any{}
	for _, id := range i.members {
		members = append(members, map[string]any{"DBInstanceIdentifier": id, "IsClusterWriter": true, "PromotionTier": 1})
	}
	shown["DBClusterMembers"] = members
	return shown
}

func memberships(ids []any) []any {
	all := []any{}
	for _, id := range ids {
		all = append(all, map[string]any{"VpcSecurityGroupId": id, "Status": "active"})
	}
	return all
}

// createInstance adds a member to a cluster. Instances of their own come from Add, or from a snapshot.
func (s *Server) createInstance(in input, fault faults) (map[string]any, error) {
	id, cluster := in.text("DBInstanceIdentifier"), s.clusters[in.text("DBClusterIdentifier")]
	switch {
	case s.instances[id] != nil:
		return nil, fault("DBInstanceAlreadyExists", "DB instance already exists")
	case cluster == nil:
		return nil, fault("DBClusterNotFoundFault", "DBCluster %s not found.", in.text("DBClusterIdentifier"))
	case cluster.status != "available":
		return nil, fault("InvalidDBClusterStateFault", "the cluster is %s", cluster.status)
	}
	i := &instance{
		id: id, status: "creating", class: in.text("DBInstanceClass"), engine: cluster.engine, version: version, user: cluster.user, groups: cluster.groups,
		subnets: cluster.subnets, parameters: "default.aurora", storage: 1, tags: in.list("Tags"), cluster: cluster.id,
	}
	s.instances[id] = i
	cluster.members = append(cluster.members, id)
	s.later(&i.percent, cluster.server.start, func(err error) { i.ready(err) })
	return map[string]any{"DBInstance": s.showInstance(i)}, nil
}

func (i *instance) ready(err error) {
	if i.status == "creating" {
		i.status, i.failed = "available", err
	}
	if err != nil {
		i.status = "failed"
	}
}

func (s *Server) deleteInstance(in input, fault faults) (map[string]any, error) {
	i := s.instances[in.text("DBInstanceIdentifier")]
	switch {
	case i == nil:
		return nil, fault("DBInstanceNotFound", "DBInstance %s not found.", in.text("DBInstanceIdentifier"))
	case i.status == "creating" || i.status == "deleting":
		return nil, fault("InvalidDBInstanceState", "Instance %s is not in available state: it is %s", i.id, i.status)
	case i.protected:
		return nil, &model.Error{Code: "InvalidParameterCombination", Message: "Cannot delete protected DB Instance, please disable deletion protection and try again.", Status: 400}
	case !in.yes("SkipFinalSnapshot") && in.text("FinalDBSnapshotIdentifier") == "" && i.cluster == "":
		return nil, &model.Error{Code: "InvalidParameterCombination", Message: "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.", Status: 400}
	}
	i.status = "deleting"
	work := func() error { return nil }
	if i.server != nil {
		work = i.server.remove
	}
	s.later(&i.percent, work, func(error) {
		delete(s.instances, i.id)
		if c := s.clusters[i.cluster]; c != nil {
			c.members = slices.DeleteFunc(c.members, func(id string) bool { return id == i.id })
		}
	})
	return map[string]any{"DBInstance": s.showInstance(i)}, nil
}

func (s *Server) deleteCluster(in input, fault faults) (map[string]any, error) {
	c := s.clusters[in.text("DBClusterIdentifier")]
	switch {
	case c == nil:
		return nil, fault("DBClusterNotFoundFault", "DBCluster %s not found.", in.text("DBClusterIdentifier"))
	case c.status != "available":
		return nil, fault("InvalidDBClusterStateFault", "DbCluster %s is not in available state: it is %s", c.id, c.status)
	case slices.ContainsFunc(c.members, func(id string) bool { return s.instances[id].status != "deleting" }):
		return nil, fault("InvalidDBClusterStateFault", "Cluster cannot be deleted, it still contains DB instances in non-deleting state.")
	}
	c.status = "deleting"
	s.later(&c.percent, c.server.remove, func(error) { delete(s.clusters, c.id) })
	return map[string]any{"DBCluster": s.showCluster(c)}, nil
}

func (s *Server) snap(kind, id string, source *instance, in input, fault faults, shape string) (map[string]any, error) {
	suffix := ""
	if kind == "cluster/" {
		suffix = "Fault"
	}
	switch {
	case source == nil && kind == "cluster/":
		return nil, fault("DBClusterNotFoundFault", "DBCluster %s not found.", in.text("DBClusterIdentifier"))
	case source == nil:
		return nil, fault("DBInstanceNotFound", "DBInstance %s not found.", in.text("DBInstanceIdentifier"))
	case s.snapshots[kind+id] != nil:
		return nil, fault(shape+"AlreadyExists"+suffix, "Cannot create the snapshot because a snapshot with the identifier %s already exists.", id)
	case source.status != "available" && kind == "cluster/":
		return nil, fault("InvalidDBClusterStateFault", "the cluster is %s", source.status)
	case source.status != "available":
		return nil, fault("InvalidDBInstanceState", "the instance is %s", source.status)
	}
	made := &snapshot{
		id: id, source: source.id, status: "creating", engine: source.engine, version: source.version, user: source.user, storage: source.storage,
		tags: in.list("Tags"), dir: filepath.Join(s.dir, "snapshots", kind[:1]+"-"+id),
	}
	s.snapshots[kind+id] = made
	from := *source.server
	s.later(&made.percent, func() error { return from.copy(made.dir) }, func(err error) {
		made.status = "available"
		if err != nil {
			made.status = "failed"
		}
	})
	return map[string]any{shape: showSnapshot(made, shape, kind)}, nil
}

func showSnapshot(snap *snapshot, shape, kind string) map[string]any {
	source := "DBInstanceIdentifier"
	if kind == "cluster/" {
		source = "DBClusterIdentifier"
	}
	return map[string]any{
		shape + "Identifier": snap.id, source: snap.source, "Status": snap.status, "PercentProgress": snap.percent, "Engine": snap.engine,
		"EngineVersion": snap.version, "MasterUsername": snap.user, "AllocatedStorage": snap.storage, "TagList": snap.tags, "SnapshotType": "manual",
		"SnapshotCreateTime": time.Now(),
	}
}

func missingSnapshot(kind, shape, id string, fault faults) error {
	if kind == "cluster/" {
		return fault("DBClusterSnapshotNotFoundFault", "%s %s not found.", shape, id)
	}
	return fault("DBSnapshotNotFound", "%s %s not found.", shape, id)
}

func (s *Server) describeSnapshots(kind, id, shape, _ string, fault faults) (map[string]any, error) {
	snap := s.snapshots[kind+id]
	if snap == nil {
		return nil, missingSnapshot(kind, shape, id, fault)
	}
	return map[string]any{shape + "s": []any{showSnapshot(snap, shape, kind)}}, nil
}

func (s *Server) deleteSnapshot(kind, id, shape, _ string, fault faults) (map[string]any, error) {
	snap := s.snapshots[kind+id]
	if snap == nil {
		return nil, missingSnapshot(kind, shape, id, fault)
	}
	if snap.status == "creating" {
		code := "InvalidDBSnapshotState"
		if kind == "cluster/" {
			code = "InvalidDBClusterSnapshotStateFault"
		}
		return nil, fault(code, "the snapshot is %s", snap.status)
	}
	delete(s.snapshots, kind+id)
	snap.status = "deleted"
	return map[string]any{shape: showSnapshot(snap, shape, kind)}, command("rm", "-rf", snap.dir)
}

func (s *Server) restoreInstance(in input, fault faults) (map[string]any, error) {
	id, from := in.text("DBInstanceIdentifier"), s.snapshots["instance/"+in.text("DBSnapshotIdentifier")]
	switch {
	case from == nil:
		return nil, fault("DBSnapshotNotFound", "DBSnapshot %s not found.", in.text("DBSnapshotIdentifier"))
	case s.instances[id] != nil:
		return nil, fault("DBInstanceAlreadyExists", "DB instance already exists")
	case from.status != "available":
		return nil, fault("InvalidDBSnapshotState", "the snapshot is %s", from.status)
	}
	i := &instance{
		id: id, status: "creating", class: or(in.text("DBInstanceClass"), "db.t4g.micro"), engine: from.engine, version: from.version, user: from.user,
		groups: or2(in.list("VpcSecurityGroupIds"), "sg-default"), subnets: or(in.text("DBSubnetGroupName"), "default"),
		parameters: or(in.text("DBParameterGroupName"), "default.postgres15"), storage: from.storage, tags: in.list("Tags"),
	}
	s.instances[id] = i
	s.bring(i, from)
	return map[string]any{"DBInstance": s.showInstance(i)}, nil
}

func (s *Server) restoreCluster(in input, fault faults) (map[string]any, error) {
	id, from := in.text("DBClusterIdentifier"), s.snapshots["cluster/"+in.text("SnapshotIdentifier")]
	switch {
	case from == nil:
		return nil, fault("DBClusterSnapshotNotFoundFault", "snapshot %s not found.", in.text("SnapshotIdentifier"))
	case s.clusters[id] != nil:
		return nil, fault("DBClusterAlreadyExistsFault", "DB cluster already exists")
	case from.status != "available":
		return nil, fault("InvalidDBClusterSnapshotStateFault", "the snapshot is %s", from.status)
	case in.text("Engine") != from.engine:
		return nil, &model.Error{Code: "InvalidParameterCombination", Message: "the snapshot is of " + from.engine, Status: 400}
	}
	c := &instance{
		id: id, status: "creating", engine: from.engine, version: from.version, user: from.user, storage: 1, groups: or2(in.list("VpcSecurityGroupIds"), "sg-default"),
		subnets: or(in.text("DBSubnetGroupName"), "default"), parameters: or(in.text("DBClusterParameterGroupName"), "default.aurora-postgresql15"), tags: in.list("Tags"),
	}
	s.clusters[id] = c
	s.bring(c, from)
	return map[string]any{"DBCluster": s.showCluster(c)}, nil
}

// bring makes a server of a snapshot. A cluster's is stopped until a member comes.
func (s *Server) bring(i *instance, from *snapshot) {
	var made postgres
	isCluster := s.clusters[i.id] == i
	dir := filepath.Join(s.dir, "data", fmt.Sprintf("%d", time.Now().UnixNano()))
	s.later(&i.percent, func() (err error) {
		if made, err = restored(from.dir, dir); err == nil && isCluster {
			err = command("pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", made.dir)
		}
		return err
	}, func(err error) {
		i.server = &made
		i.ready(err)
	})
}

// Add makes an available instance, or a cluster with one member, as an administrator did long ago.
func (s *Server) Add(id, user, password, engine string, groups ...string) error {
	port, err := firstPort()
	if err != nil {
		return err
	}
	p := &postgres{dir: filepath.Join(s.dir, "data", "first-"+id), port: port}
	if err := p.create(user, password); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.writeState()
	made := &instance{
		id: id, status: "available", class: "db.t4g.medium", engine: engine, version: version, user: user, subnets: "private",
		parameters: "tuned", storage: 20, server: p,
	}
	for _, group := range groups {
		made.groups = append(made.groups, group)
	}
	made.groups = or2(made.groups, "sg-default")
	switch {
	case s.instances[id] != nil || s.clusters[id] != nil:
		return errors.New(id + " exists")
	case engine == "postgres":
		s.instances[id] = made
	default:
		s.clusters[id] = made
		member := *made
		member.id, member.cluster, member.server = id+"-a", id, nil
		s.instances[member.id], made.members = &member, []string{member.id}
	}
	return nil
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func or2(items []any, otherwise string) []any {
	if len(items) == 0 {
		return []any{otherwise}
	}
	return items
}
