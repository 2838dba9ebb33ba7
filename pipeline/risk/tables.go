package risk

import (
	"strings"
	"sync"
)

// A row says which factors a family of names stands for.
type row struct {
	factors set
	names   string // separated by blanks
}

// controlRows are names of controls, in lower case, whose failing states the
// fact by itself. Sources: the control reference of the AWS Security Hub user guide
// (EC2.19), the check metadata of Prowler 4 and 5 (ec2_ami_public, misspelt ones as there), the check
// reference of AWS Trusted Advisor (ids such as 12Fnkpl8Y5), docket's own checks (sg-ssh).
func controlRows() []row {
	return []row{
		{publicExposure, "ec2.1 ec2.13 ec2.14 ec2.18 ec2.19 ec2.21 ec2.53 ec2.54 s3.2 s3.3 " +
			"rds.1 rds.2 redshift.1 redshiftserverless.3 dms.1 es.2 opensearch.2 lambda.1 kms.5 sqs.3 sns.4 eks.1 " +
			"ssm.4 cloudtrail.6 neptune.3 documentdb.3"},
		{publicExposure, "s3_bucket_public_access s3_bucket_policy_public_write_access s3_bucket_public_list_acl s3_bucket_public_write_acl " +
			"s3_bucket_object_public ec2_ami_public ec2_ebs_public_snapshot ec2_securitygroup_allow_wide_open_public_ipv4 " +
			"rds_instance_no_public_access rds_snapshots_public_access redshift_cluster_public_access awslambda_function_not_publicly_accessible " +
			"awslambda_function_url_public ecr_repositories_not_publicly_accessible eks_cluster_not_publicly_accessible " +
			"opensearch_service_domains_not_publicly_accessible sqs_queues_not_publicly_accessible sns_topics_not_publicly_accessible " +
			"kms_key_not_publicly_accessible secretsmanager_not_publicly_accessible glacier_vaults_policy_public_access " +
			"efs_not_publicly_accessible cloudtrail_logs_s3_bucket_is_not_publicly_accessible dms_instance_no_public_access " +
			"codebuild_project_not_publicly_accessible cloudwatch_log_group_not_publicly_accessible eventbridge_bus_exposed " +
			"glue_data_catalogs_not_publicly_accessible kafka_cluster_is_public lightsail_database_public mq_broker_not_publicly_accessible " +
			"ses_identity_not_publicly_accessible emr_cluster_publicly_accesible ssm_documents_set_as_public documentdb_cluster_public_snapshot neptune_cluster_public_snapshot"},
		{publicExposure, "hcp4007jgy 1ig5ndgvre nnaujisyit pfx0rwqbli eps02jt06w rss93hqwa1"},
		{publicExposure, "sg-high-risk-port sg-ssh sg-rdp sg-other-port sg-unrestricted rds-sg rds-public cloudtrail-bucket-public " +
			"s3-public-acl s3-public-policy ebs-public-snapshot rds-public-snapshot ami-public"},
		{internetFacing, "ec2.9 ec2.15 ec2.25 autoscaling.5 ecs.2 emr.1 ec2_instance_public_ip ec2_instance_internet_facing_with_instance_profile " +
			"elb_internet_facing elbv2_internet_facing ec2_launch_template_no_public_ip autoscaling_group_launch_configuration_no_public_ip " +
			"ecs_service_no_assign_public_ip ecs_task_set_no_assign_public_ip emr_cluster_master_nodes_no_public_ip vpc_subnet_no_public_ip_by_default " +
			"lightsail_instance_public apigateway_restapi_public apigateway_restapi_public_with_authorizer"},
		{rootIdentity, "iam.4 iam.20 iam_no_root_access_key iam_avoid_root_usage c2vlfg0f4h root-access-key root-usage root-mfa-backup"},
		{rootIdentity | noMFA, "iam.6 iam.9 iam_root_mfa_enabled iam_root_hardware_mfa_enabled 7dafemodos root-mfa root-hardware-mfa"},
		{noMFA, "iam.5 iam.19 iam_user_mfa_enabled_console_access iam_user_hardware_mfa_enabled cognito_user_pool_mfa_enabled user-console-mfa"},
		{noMFA | adminPrivilege, "iam_administrator_access_with_mfa"},
		{adminPrivilege, "iam.1 iam_aws_attached_policy_no_administrative_privileges iam_customer_attached_policy_no_administrative_privileges " +
			"iam_customer_unattached_policy_no_administrative_privileges iam_inline_policy_no_administrative_privileges " +
			"iam_role_administratoraccess_policy iam_role_administratoraccess_policy_permissive_trust_relationship " +
			"iam_user_administrator_access_policy iam_group_administrator_access_policy admin-policy admin-users admin-domains"},
		{exposedCredential, "codebuild.1 codebuild.2 ecs.8 12fnkpl8y5 exposed-key health-exposure secret-in-userdata secret-in-env " +
			"awslambda_function_no_secrets_in_code awslambda_function_no_secrets_in_variables ec2_instance_secrets_user_data " +
			"ec2_launch_template_no_secrets autoscaling_find_secrets_ec2_launch_configuration cloudformation_stack_outputs_find_secrets " +
			"codebuild_project_no_secrets_in_variables ecs_task_definitions_no_environment_secrets ssm_document_secrets " +
			"cloudwatch_log_group_no_secrets_in_logs stepfunctions_statemachine_no_secrets_in_definition " +
			"amplify_app_no_secrets_in_environment apigateway_restapi_no_secrets_in_stage_variables awslambda_layer_no_secrets_in_content " +
			"batch_job_definition_no_secrets codecommit_repository_no_secrets datapipeline_pipeline_no_secrets_in_definition " +
			"ecr_repository_image_no_secrets glue_catalog_connection_no_secrets glue_etl_jobs_no_secrets_in_arguments sagemaker_notebook_instance_no_secrets"},
		{activeThreat, "unexpected-instance creation-burst security-events"},
		{unencrypted, "s3.4 s3.5 ec2.3 ec2.7 rds.3 rds.4 rds.27 efs.1 sqs.1 sns.1 dynamodb.3 dynamodb.7 es.1 es.3 es.8 opensearch.1 " +
			"opensearch.3 opensearch.8 redshift.2 redshift.10 redshiftserverless.2 cloudtrail.2 cloudfront.3 cloudfront.9 elb.1 elb.3 apigateway.5 " +
			"dms.9 kinesis.1 elasticache.4 elasticache.5 documentdb.1 neptune.1 neptune.6 workspaces.1 workspaces.2 msk.1 codebuild.3 eks.3"},
		{unencrypted, "s3_bucket_default_encryption s3_bucket_secure_transport_policy ec2_ebs_volume_encryption ec2_ebs_default_encryption " +
			"ec2_ebs_snapshots_encrypted rds_instance_storage_encrypted rds_snapshots_encrypted rds_instance_transport_encrypted " +
			"efs_encryption_at_rest_enabled sqs_queues_server_side_encryption_enabled sns_topics_kms_encryption_at_rest_enabled " +
			"opensearch_service_domains_encryption_at_rest_enabled opensearch_service_domains_node_to_node_encryption_enabled " +
			"opensearch_service_domains_https_communications_enforced redshift_cluster_encrypted_at_rest redshift_cluster_in_transit_encryption_enabled " +
			"cloudtrail_kms_encryption_enabled elb_ssl_listeners elbv2_ssl_listeners cloudfront_distributions_https_enabled " +
			"apigateway_restapi_cache_encrypted athena_workgroup_encryption backup_recovery_point_encrypted backup_vaults_encrypted " +
			"cloudfront_distributions_origin_traffic_encrypted codebuild_project_s3_logs_encrypted codebuild_report_group_export_encrypted " +
			"dms_endpoint_redis_in_transit_encryption_enabled dms_endpoint_ssl_enabled documentdb_cluster_storage_encrypted " +
			"dynamodb_accelerator_cluster_encryption_enabled dynamodb_accelerator_cluster_in_transit_encryption_enabled " +
			"elasticache_redis_cluster_in_transit_encryption_enabled elasticache_redis_cluster_rest_encryption_enabled firehose_stream_encrypted_at_rest " +
			"glue_database_connections_ssl_enabled kafka_cluster_in_transit_encryption_enabled kinesis_stream_encrypted_at_rest " +
			"neptune_cluster_snapshot_encrypted neptune_cluster_storage_encrypted rds_cluster_storage_encrypted " +
			"transfer_server_in_transit_encryption_enabled workspaces_volume_encryption_enabled " +
			"s3-encryption ebs-default-encryption elb-listener a2sec6ilx"},
		// About watching, or about a guard rail that is missing, not about the fact (a bucket without
		// Block Public Access need not be public): without this row their titles would be misread.
		{0, "s3.1 s3.8 s3.19 s3.24 emr.2 s3_account_level_public_access_blocks s3_bucket_level_public_access_block s3_access_point_public_access_block " +
			"s3_multi_region_access_point_public_access_block ec2_ami_account_block_public_access ec2_ebs_snapshot_account_block_public_access " +
			"emr_cluster_account_public_block_enabled s3-account-bpa s3-bucket-bpa s3.20 cloudtrail_bucket_requires_mfa_delete " +
			"s3_bucket_no_mfa_delete cloudwatch.1 cloudwatch_log_metric_filter_root_usage cloudwatch_log_metric_filter_sign_in_without_mfa " +
			"root-alarm scp-deny-root scp-deny-root-keys"},
	}
}

// controlPrefixes are families of Prowler checks, one a port.
var controlPrefixes = [...]string{"ec2_securitygroup_allow_ingress_from_internet_", "ec2_networkacl_allow_ingress_", "ec2_instance_port_"}

// threatRows are GuardDuty finding types and Macie's, in lower case (GuardDuty and
// Macie user guides, finding types), that say more than "somebody is acting".
func threatRows() []row {
	return []row{
		{exposedCredential, "unauthorizedaccess:iamuser/instancecredentialexfiltration.outsideaws unauthorizedaccess:iamuser/instancecredentialexfiltration.insideaws"},
		{rootIdentity, "policy:iamuser/rootcredentialusage"},
		{publicExposure, "policy:s3/bucketanonymousaccessgranted policy:s3/bucketpublicaccessgranted policy:iamuser/s3bucketpublic policy:iamuser-s3bucketpublic"},
		{sensitiveData | exposedCredential, "sensitivedata:s3object/credentials sensitivedata:s3object-credentials"},
		{sensitiveData, "sensitivedata:s3object/financial sensitivedata:s3object/personal sensitivedata:s3object/multiple sensitivedata:s3object/customidentifier " +
			"sensitivedata:s3object-financial sensitivedata:s3object-personal sensitivedata:s3object-multiple sensitivedata:s3object-customidentifier"},
	}
}

// typePrefixes are name spaces of ASFF Types (Security Hub user guide, "Types taxonomy for ASFF").
var typePrefixes = [...]struct {
	prefix  string
	factors set
}{
	{"ttps/", activeThreat},
	{"unusual behaviors/", activeThreat},
	{"effects/data exfiltration", activeThreat},
	{"effects/data exposure", publicExposure},
	{"sensitive data identifications/passwords", sensitiveData | exposedCredential},
	{"sensitive data identifications/", sensitiveData},
}

// secretScanners are products all of whose findings are credentials in the open.
var secretScanners = [...]string{"gitleaks", "trufflehog", "detect-secrets", "ggshield", "github secret scanning"}

// titlePhrases are looked for only when nothing else was known about the control.
var titlePhrases = [...]struct {
	phrase  string
	factors set
}{
	{"publicly accessible", publicExposure},
	{"public access", publicExposure},
	{"public read", publicExposure},
	{"public write", publicExposure},
	{"0.0.0.0/0", publicExposure},
	{"open to the world", publicExposure},
	{"open to the internet", publicExposure},
	{"root user", rootIdentity},
	{"root account", rootIdentity},
	{"multi-factor", noMFA},
	{"mfa", noMFA},
	{"administrative privileges", adminPrivilege},
	{"hardcoded credential", exposedCredential},
	{"hard-coded credential", exposedCredential},
	{"hardcoded secret", exposedCredential},
	{"hard-coded secret", exposedCredential},
	{"exposed credential", exposedCredential},
	{"unencrypted", unencrypted},
	{"not encrypted", unencrypted},
	{"be encrypted", unencrypted},
	{"is encrypted", unencrypted},
	{"are encrypted", unencrypted},
}

// titleStops mark titles about watching or recording a thing instead of the thing.
var titleStops = [...]string{"metric filter", "alarm", "mfa delete", "logging", "block public access"}

// names is the look-up made of the rows; the bool tells "known without factors" from "unknown".
type names map[string]set

func index(rows []row) names {
	n := names{}
	for _, r := range rows {
		for name := range strings.FieldsSeq(r.names) {
			n[name] |= r.factors
		}
	}
	return n
}

var controls = sync.OnceValue(func() names { return index(controlRows()) })
var threats = sync.OnceValue(func() names { return index(threatRows()) })

// What the key of a tag can be about.
const (
	markEnvironment = iota + 1
	markData
	markInternet
)

// markOf says what a tag's key is about. The key is in lower case without - _ and blanks.
func markOf(key string) int {
	switch key {
	case "env", "environment", "stage":
		return markEnvironment
	case "dataclassification", "classification", "datasensitivity", "sensitivity":
		return markData
	case "exposure", "internetfacing":
		return markInternet
	}
	return 0
}

// isProduction judges one word of an environment tag or an account's name, in lower case.
func isProduction(value string) bool {
	switch value {
	case "prod", "production", "prd", "live":
		return true
	}
	return false
}

// isSensitive judges the value of a tag about data, squeezed.
func isSensitive(value string) bool {
	switch value {
	case "confidential", "highlyconfidential", "restricted", "sensitive", "secret", "pii", "phi", "pci":
		return true
	}
	return false
}

// isInternet judges the value of a tag about exposure, squeezed.
func isInternet(value string) bool {
	switch value {
	case "public", "internet", "internetfacing", "external", "true", "yes":
		return true
	}
	return false
}
